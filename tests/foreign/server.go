// An HTTP/2 server on Go's net/http. Prints its port; writes down each request when its head has
// arrived. -goaway and -reset are "every so many requests".
package main

import (
	"bytes"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

func main() {
	certificate := flag.String("certificate", "", "")
	key := flag.String("key", "", "")
	logFile := flag.String("log", "", "")
	early := flag.Bool("early", false, "answer without reading the body")
	hints := flag.Bool("hints", false, "send 103 first")
	long := flag.Int("long", 20, "how many bytes an answer has")
	goaway := flag.Int64("goaway", 0, "")
	reset := flag.Int64("reset", 0, "")
	idle := flag.Duration("idle", time.Minute, "")
	flag.Parse()

	log, err := os.OpenFile(*logFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	body := bytes.Repeat([]byte("x"), *long)
	var requests int64
	every := func(number, n int64) bool { return n > 0 && number%n == 0 }

	handler := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(log, r.URL.RequestURI())
		number := atomic.AddInt64(&requests, 1)
		if every(number, *reset) {
			panic(http.ErrAbortHandler)
		}
		if every(number, *goaway) {
			w.Header().Set("Connection", "close")
		}
		if *hints {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
		}
		if !*early {
			io.Copy(io.Discard, r.Body)
		}
		w.Write(body)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	server := &http.Server{
		Handler:     http.HandlerFunc(handler),
		IdleTimeout: *idle,
		TLSConfig:   &tls.Config{MinVersion: tls.VersionTLS12},
	}
	panic(server.ServeTLS(listener, *certificate, *key))
}
