package config

import "strings"

// maxCredentialBytes bounds what a file may hold for one credential.
const maxCredentialBytes = 4096

// readCredentials takes the credentials that stand in files, as secret stores mount them.
func (l *loader) readCredentials(readFile func(name string) ([]byte, error)) error {
	s := &l.c.Tier.S3
	for _, c := range []struct {
		file, key string
		is        bool // given in place too
		set       func(string)
	}{
		{s.AccessKeyIDFile, "tier.s3.access_key_id", s.AccessKeyID != "", func(v string) { s.AccessKeyID = v }},
		{s.SecretAccessKeyFile, "tier.s3.secret_access_key", s.SecretAccessKey != "",
			func(v string) { s.SecretAccessKey = Secret(v) }},
	} {
		switch {
		case c.file == "":
			continue
		case c.is:
			return l.blame("and "+c.key+" are both set; set only one of them", c.key+"_file")
		}
		data, err := readFile(c.file)
		if err != nil {
			return fileError(c.file, err, c.key+"_file")
		}
		text := strings.TrimRight(string(data), "\r\n")
		if text == "" || len(text) > maxCredentialBytes || strings.ContainsAny(text, "\r\n\x00") {
			return &Error{Source: c.file, Problem: "must hold the value of " + c.key + " on one line, and nothing else"}
		}
		c.set(text)
	}
	return nil
}
