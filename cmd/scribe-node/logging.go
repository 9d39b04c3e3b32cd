package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/DeRuina/timberjack"

	"github.com/scribe-ledger/scribe/config"
)

// logging is the process's logger, its level, which SIGHUP may change, and the file behind it, if any.
type logging struct {
	*slog.Logger
	level *slog.LevelVar
	file  io.Closer
}

// newLogging returns a *config.Error for a log file that cannot be written: later it would fail line by line, unseen.
func newLogging(c config.Log, stderr io.Writer) (*logging, error) {
	l := &logging{level: new(slog.LevelVar)}
	l.level.Set(c.SlogLevel())
	out := stderr
	if c.File != "" {
		if err := tryFile(c.File); err != nil {
			return nil, &config.Error{Source: "configuration", Key: "log.file",
				Problem: fmt.Sprintf("cannot be written: %v; name a file that can, or leave it empty for standard error", err)}
		}
		compression := "none"
		if c.Compress {
			compression = "gzip"
		}
		rotating := &timberjack.Logger{Filename: c.File, MaxSize: c.MaxSizeMB, MaxAge: c.MaxAgeDays,
			MaxBackups: c.MaxBackups, Compression: compression}
		out, l.file = rotating, rotating
	}
	opts := &slog.HandlerOptions{Level: l.level}
	if c.Format == "json" {
		l.Logger = slog.New(slog.NewJSONHandler(out, opts))
	} else {
		l.Logger = slog.New(slog.NewTextHandler(out, opts))
	}
	return l, nil
}

func tryFile(name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// reload takes the log level from the configuration again. A configuration that is wrong by now changes nothing.
func (l *logging) reload(was config.Config) {
	c, err := config.Load(os.Args[1:], os.Environ(), os.ReadFile)
	if err != nil {
		l.Error("reload: the configuration is wrong, so nothing was changed", "error", err)
		return
	}
	l.level.Set(c.Log.SlogLevel())
	l.Info("reloaded", "log_level", c.Log.Level, "was", was.Log.Level)
}

func (l *logging) Close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
