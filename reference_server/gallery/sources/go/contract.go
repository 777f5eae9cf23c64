package main

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// querySum is the sum of all values of the query.
func querySum(request *http.Request) int {
	sum := 0
	for _, values := range request.URL.Query() {
		for _, value := range values {
			number, _ := strconv.Atoi(value)
			sum += number
		}
	}
	return sum
}

func answer(writer http.ResponseWriter, body string) {
	writer.Header().Set("Content-Type", "text/plain")
	io.WriteString(writer, body)
}

func pipeline(writer http.ResponseWriter, _ *http.Request) {
	answer(writer, "ok")
}

func baseline(writer http.ResponseWriter, request *http.Request) {
	sum := querySum(request)
	if request.Method == http.MethodPost {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return
		}
		number, _ := strconv.Atoi(strings.TrimSpace(string(body)))
		sum += number
	}
	answer(writer, strconv.Itoa(sum))
}

// upload counts the body while it arrives, and drops it.
func upload(writer http.ResponseWriter, request *http.Request) {
	received, err := io.Copy(io.Discard, request.Body)
	if err != nil {
		return
	}
	answer(writer, fmt.Sprint(received))
}

// routes are the endpoints of the contract.
func routes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"/pipeline":   pipeline,
		"/baseline11": baseline,
		"/upload":     upload,
	}
}
