package main

import (
	"encoding/base64"
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
