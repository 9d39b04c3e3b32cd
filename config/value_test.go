package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "1B": 1, "4KiB": 4096, "64MiB": 64 << 20, "64 mib": 64 << 20, "3GB": 3e9, "1TiB": 1 << 40,
		"9223372036854775807": 1<<63 - 1,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "B", "-1", "1.5MiB", "1 K", "1K", "9223372036854775808", "8388608TiB", "1MiB x"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q is taken for %d", text, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Min(0).Draw(t, "n") >> rapid.IntRange(0, 62).Draw(t, "shift")
		if back, err := ParseSize(FormatSize(n)); err != nil || back != n {
			t.Fatalf("%d is written %q and read %d, %v", n, FormatSize(n), back, err)
		}
	})
}

func TestNearestHasFewestEdits(t *testing.T) {
	for _, c := range [][3]string{{"kitten", "sitting", "3"}, {"", "abc", "3"}, {"abc", "abc", "0"}} {
		if got := fmt.Sprint(distance(c[0], c[1])); got != c[2] {
			t.Errorf("%v: %s", c, got)
		}
	}
	c := Default()
	keys := []string{}
	for _, f := range fields(&c) {
		keys = append(keys, f.key)
	}
	rapid.Check(t, func(t *rapid.T) {
		// One edit off is found again, unless another key is as near.
		key := rapid.SampledFrom(keys).Draw(t, "key")
		at := rapid.IntRange(0, len(key)-1).Draw(t, "at")
		typo := key[:at] + "x" + key[at:]
		if got := nearest(typo, keys); got != key {
			t.Fatalf("%s: %s", typo, got)
		}
	})
}

func TestSecretsAreNotPrinted(t *testing.T) {
	const secret = "hunter2"
	environ := []string{"SCRIBE_TIER_S3_SECRET_ACCESS_KEY=" + secret, "SCRIBE_TIER_S3_ACCESS_KEY_ID=id"}
	c, err := Load(nil, environ, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Tier.S3.SecretAccessKey.Reveal() != secret {
		t.Fatal("the secret is lost")
	}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+"\n", c)
		fmt.Fprintf(&out, verb+"\n", c.Tier)
		fmt.Fprintf(&out, verb+"\n", &c.Tier.S3)
		fmt.Fprintf(&out, verb+"\n", c.Tier.S3.SecretAccessKey)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("loaded", "config", c, "tier", c.Tier, "secret", c.Tier.S3.SecretAccessKey)
	}
	if err := json.NewEncoder(&out).Encode(c); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); strings.Contains(s, secret) || strings.Contains(s, fmt.Sprintf("%x", secret)) {
		t.Fatal(s)
	}
	if !strings.Contains(c.String(), redacted) {
		t.Fatal("a secret that is set does not show as one")
	}
}

// FuzzFile: no file panics, and every refusal is one line.
func FuzzFile(f *testing.F) {
	for _, s := range []string{"", "[node]\nid = 1", "[tier]\ns3 = { bucket = \"b\" }", "a.b.c = [1, {x = 2}]",
		"[limits]\nmax_key_bytes = \"1KiB\"", "[[a]]\n[a.b]\nc=1979-05-27T07:32:00Z", "x = \"\"\"\n", "\"a.b\" = 1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := Load([]string{"--config", "s.toml"}, nil, func(string) ([]byte, error) { return data, nil })
		var typed *Error
		if err != nil && (!errors.As(err, &typed) || strings.ContainsAny(err.Error(), "\r\n")) {
			t.Fatalf("%q", err)
		}
	})
}
