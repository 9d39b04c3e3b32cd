package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const pagePath = "../docs/configuration.md"

// TestConfigurationPage holds docs/configuration.md to the field table. UPDATE_DOCS=1 writes the page anew.
func TestConfigurationPage(t *testing.T) {
	want := page()
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(pagePath, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(pagePath)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Fatal("docs/configuration.md differs from the field table; run UPDATE_DOCS=1 go test ./config")
	}
}

func page() string {
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(pageHead, "'", "`"))
	c := Default()
	section := ""
	for _, f := range fields(&c) {
		if s := strings.TrimSuffix(f.key, "."+lastPart(f.key)); s != section {
			section = s
			fmt.Fprintf(&b, "\n## [%s]\n\n| key | flag, variables | default | must be | meaning |\n|---|---|---|---|---|\n", s)
		}
		var names []string
		if f.flag != "" {
			names = append(names, "`--"+f.flag+"`")
		}
		if f.short != "" {
			names = append(names, "`"+f.short+"`")
		}
		names = append(names, "`"+f.env()+"`")
		text := "`" + f.to.text() + "`"
		if text == "``" {
			text = "empty"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", lastPart(f.key), strings.Join(names, "<br>"), text,
			f.to.want(), f.help)
	}
	return b.String()
}

// pageHead has apostrophes for backquotes.
const pageHead = `# Configuration

A node takes its settings from flags, the environment, a TOML file ('--config FILE' or 'SCRIBE_CONFIG') and defaults.
Flags beat the environment, the environment beats the file, the file beats the defaults.

- Every key has a variable: 'SCRIBE_', the section and the key in capitals, joined by underscores. Some have a short
  form beside it; both set to different values is an error. A variable that is set to nothing counts as not set.
- Sizes are whole numbers of bytes or texts such as '"64MiB"' (KiB, MiB, GiB, TiB: powers of 1,024; KB, MB, GB, TB:
  powers of 1,000). Durations are texts such as '"1m30s"'. Variables and flags take the same texts without quotes.
- An unknown key, variable or flag, or a value that cannot work, stops the start with exit status 2 and one line that
  names the source, the key and what would be right:
  'scribe.toml:5: limits.max_keybytes: there is no such key; the nearest is limits.max_key_bytes'.
- 'scribe-node --check-config' checks all of it without starting. The secret is never printed.
- 'SCRIBE_ENDPOINT' belongs to the 'scribe' command; a node leaves it alone.

[scribe.example.toml](scribe.example.toml) has every key at its default.
`
