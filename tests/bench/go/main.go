// A plain HTTP/2 push client on Go's net/http, as a reference for the gateway's benchmark.
//
// It reads one JSON line from standard input (URL and headers of every request, the body, how many
// at once) and prints one JSON line: seconds, CPU seconds and how many answers were 200.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type request struct {
	URL     string     `json:"url"`
	Headers [][]string `json:"headers"`
	Body    string     `json:"body"`
}

type job struct {
	CA       string    `json:"ca"`
	Parallel int       `json:"parallel"`
	Requests []request `json:"requests"`
}

func cpu() float64 {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func send(client *http.Client, each *request) (bool, error) {
	out, err := http.NewRequest("POST", each.URL, bytes.NewReader([]byte(each.Body)))
	if err != nil {
		return false, err
	}
	for _, pair := range each.Headers {
		out.Header.Set(pair[0], pair[1])
	}
	answer, err := client.Do(out)
	if err != nil {
		return false, err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
	return answer.StatusCode == 200, err
}

func main() {
	var own job
	check(json.NewDecoder(bufio.NewReaderSize(os.Stdin, 1<<20)).Decode(&own))
	pem, err := os.ReadFile(own.CA)
	check(err)
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(pem)
	client := &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: trusted},
			ForceAttemptHTTP2: true,
		},
	}
	_, err = send(client, &own.Requests[0])
	check(err)

	var accepted, next atomic.Int64
	var all sync.WaitGroup
	begun, used := time.Now(), cpu()
	for n := 0; n < own.Parallel; n++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := int(next.Add(1)); i < len(own.Requests); i = int(next.Add(1)) {
				if ok, _ := send(client, &own.Requests[i]); ok {
					accepted.Add(1)
				}
			}
		}()
	}
	all.Wait()
	check(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"pushes":   len(own.Requests) - 1,
		"accepted": accepted.Load(),
		"seconds":  time.Since(begun).Seconds(),
		"cpu":      cpu() - used,
	}))
}
