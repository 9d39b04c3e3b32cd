package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// timeLayout is how the contract writes times.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// display is a key as it may stand on a terminal: as it is when all of it prints, quoted otherwise. A key is somebody's
// bytes, and could move the cursor or set the title.
func display(key string) string {
	odd := func(r rune) bool { return !strconv.IsPrint(r) || r == '"' || r == utf8.RuneError }
	if key == "" || strings.ContainsFunc(key, odd) {
		return strconv.Quote(key)
	}
	return key
}

// jsonKey is a key in the contract's JSON.
type jsonKey struct {
	Key    *string `json:"key,omitempty"`
	KeyB64 *string `json:"key_b64,omitempty"`
}

func keyJSON(key string) jsonKey {
	if utf8.ValidString(key) {
		return jsonKey{Key: &key}
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(key))
	return jsonKey{KeyB64: &encoded}
}

// printable is a line of text with what could move the cursor quoted.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

// printer writes lines until one fails, and keeps that error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// indexes is a range of log entries.
func indexes(first, last uint64) string {
	if first > last {
		return "no entries"
	}
	return fmt.Sprintf("entries %d to %d", first, last)
}

// sizeText is a number of bytes for people.
func sizeText(n uint64) string {
	const units = "KMGT"
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n)/(1<<10), 0
	for v >= 1<<10 && unit < len(units)-1 {
		v, unit = v/(1<<10), unit+1
	}
	return fmt.Sprintf("%.1f %ciB", v, units[unit])
}
