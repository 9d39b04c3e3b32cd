package config

import (
	"fmt"
	"log/slog"
)

// Secret is a text that no format prints.
type Secret string

const redacted = "[redacted]"

// Reveal is the secret itself, for the one place that uses it.
func (s Secret) Reveal() string { return string(s) }

// String is a placeholder, or empty when there is no secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// Format prints the placeholder for every verb, %#v and %x too.
func (s Secret) Format(f fmt.State, verb rune) { fmt.Fprint(f, s.String()) }

// LogValue is the placeholder.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is the placeholder, so that JSON and TOML encoders hold no secret either.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

type secretValue struct{ p *Secret }

func (v secretValue) set(s string) bool {
	*v.p = Secret(s)
	return true
}
func (v secretValue) text() string       { return v.p.String() }
func (v secretValue) want() string       { return "a text in quotes" }
func (v secretValue) accepts(t any) bool { return isString(t) }
