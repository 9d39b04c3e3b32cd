// Command bare is the ceiling that the HTTP load is measured against: net/http and httprouter with a handler that does
// nothing but read the body of a PUT and answer a GET with a value of 256 bytes.
package main

import (
	"flag"
	"io"
	"log"
	"net/http"
	"strconv"

	"github.com/julienschmidt/httprouter"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8099", "address")
	flag.Parse()
	value := make([]byte, 256)
	for i := range value {
		value[i] = 'x'
	}
	router := httprouter.New()
	router.PUT("/v1/kv/*key", func(w http.ResponseWriter, r *http.Request, _ httprouter.Params) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusCreated)
	})
	router.GET("/v1/kv/*key", func(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) {
		w.Header().Set("Content-Length", strconv.Itoa(len(value)))
		w.Write(value)
	})
	log.Fatal(http.ListenAndServe(*listen, router))
}
