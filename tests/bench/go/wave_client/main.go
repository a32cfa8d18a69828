// A load client: sends the requests that it reads, each once, over so many connections.
//
// It reads one JSON line from standard input and prints one: seconds, how many answers of each
// status, how many were broken off, and the milliseconds of the median and of the slowest in 100.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

type request struct {
	Method  string     `json:"method"`
	Path    string     `json:"path"`
	Headers [][]string `json:"headers"`
	Body    string     `json:"body"`
}

type job struct {
	Host     string    `json:"host"`
	Parallel int       `json:"parallel"`
	Requests []request `json:"requests"`
	// PerSecond paces the requests; 0 sends each as soon as a connection is free.
	PerSecond float64 `json:"per_second"`
}

func (r request) wire(host string) []byte {
	text := r.Method + " " + r.Path + " HTTP/1.1\r\nHost: " + host + "\r\n"
	for _, pair := range r.Headers {
		text += pair[0] + ": " + pair[1] + "\r\n"
	}
	if r.Body != "" {
		text += fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", len(r.Body))
	}
	return []byte(text + "\r\n" + r.Body)
}

type result struct {
	times    []float64
	statuses map[int]int
	broken   int
}

func (r *result) send(host string, wires [][]byte, next *int64, begin time.Time, pace float64) {
	var connection net.Conn
	var reader *bufio.Reader
	for {
		n := int(atomic.AddInt64(next, 1)) - 1
		if n >= len(wires) {
			return
		}
		start := time.Now()
		if pace > 0 {
			start = begin.Add(time.Duration(float64(n) / pace * 1e9))
			time.Sleep(time.Until(start))
		}
		var err error
		if connection == nil {
			if connection, err = net.Dial("tcp", host); err != nil {
				r.broken++
				continue
			}
			reader = bufio.NewReader(connection)
		}
		connection.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err = connection.Write(wires[n]); err == nil {
			var answer *http.Response
			if answer, err = http.ReadResponse(reader, nil); err == nil {
				_, err = io.Copy(io.Discard, answer.Body)
				r.statuses[answer.StatusCode]++
				r.times = append(r.times, time.Since(start).Seconds()*1000)
				if answer.Close {
					err = io.EOF
				}
			} else {
				r.broken++
			}
		} else {
			r.broken++
		}
		if err != nil {
			connection.Close()
			connection = nil
		}
	}
}

func main() {
	var work job
	if err := json.NewDecoder(bufio.NewReader(os.Stdin)).Decode(&work); err != nil {
		panic(err)
	}
	wires := make([][]byte, len(work.Requests))
	for n, one := range work.Requests {
		wires[n] = one.wire(work.Host)
	}
	results := make([]result, work.Parallel)
	var all sync.WaitGroup
	var next int64
	begin := time.Now()
	for n := range results {
		results[n].statuses = map[int]int{}
		all.Add(1)
		go func(one *result) {
			defer all.Done()
			one.send(work.Host, wires, &next, begin, work.PerSecond)
		}(&results[n])
	}
	all.Wait()
	seconds := time.Since(begin).Seconds()
	total := result{statuses: map[int]int{}}
	for _, one := range results {
		total.times = append(total.times, one.times...)
		total.broken += one.broken
		for status, count := range one.statuses {
			total.statuses[status] += count
		}
	}
	sort.Float64s(total.times)
	share := func(part float64) float64 {
		if len(total.times) == 0 {
			return 0
		}
		return total.times[int(part*float64(len(total.times)-1))]
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"seconds": seconds, "statuses": total.statuses, "broken": total.broken,
		"p50_ms": share(0.5), "p99_ms": share(0.99), "slowest_ms": share(1),
	})
}
