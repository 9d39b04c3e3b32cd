package config

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
)

// Load reads args (without the program's name) and environ (as os.Environ gives it), and with readFile the file they
// name, if any, and the files that hold credentials. Every error is an *Error.
//
// --help and --version beat everything: Load then returns at once with that Mode.
func Load(args, environ []string, readFile func(name string) ([]byte, error)) (Config, error) {
	c := Default()
	l := newLoader(&c)
	flags, err := l.parseFlags(args)
	if err != nil {
		return Config{}, err
	}
	if c.Mode == ShowHelp || c.Mode == ShowVersion {
		return c, nil
	}
	vars, err := l.parseEnviron(environ)
	if err != nil {
		return Config{}, err
	}
	c.File = flags[configFlag]
	if c.File == "" {
		c.File = vars[configEnv]
	}
	if c.File != "" {
		data, err := readFile(c.File)
		if err != nil {
			return Config{}, fileError(c.File, err, "--config or SCRIBE_CONFIG")
		}
		if err := l.applyFile(c.File, data); err != nil {
			return Config{}, err
		}
	}
	if err := l.applyEnviron(vars); err != nil {
		return Config{}, err
	}
	if err := l.applyFlags(flags); err != nil {
		return Config{}, err
	}
	if err := l.readCredentials(readFile); err != nil {
		return Config{}, err
	}
	if err := l.validate(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// fileError is why a file could not be read that setting names.
func fileError(name string, err error, setting string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &Error{Source: name, Problem: "there is no such file; give an existing one with " + setting}
	}
	// The path is the source already; an fs.PathError would repeat it.
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return &Error{Source: name, Problem: fmt.Sprintf("cannot be read: %v; give a readable file with %s", err, setting)}
}

// loader carries the configuration that is being put together, and where each of its values came from.
type loader struct {
	c      *Config
	fields []field
	byKey  map[string]*field
	source map[string]origin // by key; absent for defaults
}

// origin is where a value was set: what a message names.
type origin struct{ source, name string }

func newLoader(c *Config) *loader {
	l := &loader{c: c, fields: fields(c), byKey: make(map[string]*field), source: make(map[string]origin)}
	for i := range l.fields {
		l.byKey[l.fields[i].key] = &l.fields[i]
	}
	return l
}

// set gives a field the value text, as it was found at o.
func (l *loader) set(f *field, text string, o origin) error {
	if !f.to.set(text) {
		return l.wrong(f, text, o)
	}
	l.source[f.key] = o
	return nil
}

func (l *loader) wrong(f *field, found string, o origin) error {
	switch f.to.(type) {
	case secretValue:
		found = redacted
	case urlValue, joinValue, bucketValue:
		if strings.Contains(found, "@") { // perhaps a password
			found = redacted
		}
	}
	const longest = 60
	if len(found) > longest {
		found = found[:longest] + "…"
	}
	problem := fmt.Sprintf("%q is not possible; it must be %s", found, f.to.want())
	return &Error{Source: o.source, Key: o.name, Problem: problem}
}

// DataPath joins elements below the data directory.
func (c *Config) DataPath(elem ...string) string {
	return filepath.Join(append([]string{c.Node.DataDir}, elem...)...)
}

// LogValue is every setting under its key, secrets left out.
func (c Config) LogValue() slog.Value {
	var attrs []slog.Attr
	for _, f := range fields(&c) {
		attrs = append(attrs, slog.String(f.key, f.to.text()))
	}
	return slog.GroupValue(attrs...)
}

// String is every setting, a line each, secrets left out.
func (c Config) String() string {
	var b strings.Builder
	for _, f := range fields(&c) {
		fmt.Fprintf(&b, "%s = %s\n", f.key, f.to.text())
	}
	return b.String()
}
