package main

import (
	"io"
	"log/slog"
	"os"

	"github.com/DeRuina/timberjack"

	"github.com/scribe-ledger/scribe/config"
)

// logging is the process's logger, its level, which SIGHUP may change, and the file behind it, if any.
type logging struct {
	*slog.Logger
	level *slog.LevelVar
	file  io.Closer
}

func newLogging(c config.Log, stderr io.Writer) *logging {
	l := &logging{level: new(slog.LevelVar)}
	l.level.Set(c.SlogLevel())
	out := stderr
	if c.File != "" {
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
	return l
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
