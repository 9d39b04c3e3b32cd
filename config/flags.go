package config

import (
	"fmt"
	"strings"
)

const configFlag = "config"

// parseFlags reads the command line: --name value, --name=value, and a bare --name for true or false. The last of
// several wins. It sets the Mode; the other values are applied later, as they beat all else.
func (l *loader) parseFlags(args []string) (map[string]string, error) {
	set := make(map[string]string)
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		dashed, text, hasText := strings.Cut(arg, "=")
		name := strings.TrimPrefix(strings.TrimPrefix(dashed, "-"), "-")
		if !strings.HasPrefix(arg, "-") || name == "" {
			return nil, &Error{Source: "command line", Key: arg, Problem: "is not expected; only flags are, see --help"}
		}
		if mode, ok := modeOf(name); ok {
			if hasText {
				return nil, &Error{Source: "command line", Key: "--" + name, Problem: "takes no value"}
			}
			if l.c.Mode < mode {
				l.c.Mode = mode
			}
			continue
		}
		f := l.byFlag(name)
		switch {
		case f == nil && name != configFlag:
			return nil, &Error{Source: "command line", Key: "--" + name,
				Problem: "there is no such flag; the nearest is --" + nearest(name, l.flagNames())}
		case hasText:
		case f != nil && isSwitch(f):
			text = "true"
		case len(args) == 0 || strings.HasPrefix(args[0], "--"):
			return nil, &Error{Source: "command line", Key: "--" + name, Problem: "needs a value: " + l.wantOf(f)}
		default:
			text, args = args[0], args[1:]
		}
		if f == nil && text == "" {
			return nil, &Error{Source: "command line", Key: "--" + name, Problem: "needs a value: " + l.wantOf(f)}
		}
		set[name] = text
	}
	return set, nil
}

func modeOf(name string) (Mode, bool) {
	switch name {
	case "help", "h":
		return ShowHelp, true
	case "version":
		return ShowVersion, true
	case "check-config":
		return CheckConfig, true
	}
	return Run, false
}

func (l *loader) wantOf(f *field) string {
	if f == nil {
		return "the path of a TOML file"
	}
	return f.to.want()
}

func (l *loader) byFlag(name string) *field {
	for i := range l.fields {
		if l.fields[i].flag == name {
			return &l.fields[i]
		}
	}
	return nil
}

func isSwitch(f *field) bool {
	_, ok := f.to.(boolValue)
	return ok
}

func (l *loader) flagNames() []string {
	names := []string{configFlag, "help", "version", "check-config"}
	for i := range l.fields {
		if l.fields[i].flag != "" {
			names = append(names, l.fields[i].flag)
		}
	}
	return names
}

func (l *loader) applyFlags(set map[string]string) error {
	for i := range l.fields {
		f := &l.fields[i]
		text, ok := set[f.flag]
		if !ok {
			continue
		}
		if err := l.set(f, text, origin{"command line", "--" + f.flag}); err != nil {
			return err
		}
	}
	return nil
}

// Usage is the text of --help.
func Usage() string {
	var b strings.Builder
	b.WriteString(`scribe-node runs one node of a Scribe Ledger, or with --read-only a server that reads a ledger's bucket.

Usage:
  scribe-node [flags]

Flags:
`)
	c := Default()
	row := func(flag, env, help string) { fmt.Fprintf(&b, "  %-28s %-28s %s\n", flag, env, help) }
	row("--config FILE", configEnv, "TOML file to read")
	for _, f := range fields(&c) {
		if f.flag == "" {
			continue
		}
		help := f.help
		if text := f.to.text(); text != "" && text != "false" {
			help += " (default " + text + ")"
		}
		env := f.short
		if env == "" {
			env = f.env()
		}
		row("--"+f.flag+placeholder(&f), env, help)
	}
	row("--check-config", "", "check the configuration, say so, and exit")
	row("--version", "", "print the version and exit")
	row("--help", "", "print this and exit")
	b.WriteString(`
Flags beat the environment, the environment beats the file, the file beats the defaults. Every key of the file has a
variable too: limits.max_value_bytes is SCRIBE_LIMITS_MAX_VALUE_BYTES. docs/configuration.md lists them all.

Examples:
  scribe-node
  scribe-node --data-dir /var/lib/scribe --listen 0.0.0.0:8001
  scribe-node --config /etc/scribe.toml --check-config
  scribe-node --node-id 1 --initial-cluster 1=10.0.0.1:9001,2=10.0.0.2:9001,3=10.0.0.3:9001
  SCRIBE_LOG_LEVEL=debug scribe-node --join 10.0.0.1:8001 --node-id 4
  SCRIBE_TIER_BACKEND=s3 SCRIBE_TIER_S3_BUCKET=archive scribe-node
  scribe-node --data-dir /var/lib/scribe --restore-from s3://archive/ledger
  scribe-node --read-only --bucket s3://archive/ledger

Exit status: 0 after a clean stop, 1 for a start that is refused or a failure, 2 for a mistake in the configuration.
`)
	return b.String()
}

func placeholder(f *field) string {
	switch f.to.(type) {
	case boolValue:
		return ""
	case idValue:
		return " N"
	case addrValue, joinValue:
		return " ADDR"
	case peersValue:
		return " LIST"
	case bucketValue:
		return " URL"
	case choiceValue:
		return " LEVEL"
	}
	if strings.HasSuffix(f.key, "dir") {
		return " DIR"
	}
	return " TEXT"
}
