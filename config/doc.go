// Package config turns flags, environment and a TOML file into one validated Config.
//
// Flags beat the environment, the environment beats the file, the file beats the defaults. Nothing is guessed: an
// unknown key or variable, or a value that cannot work, ends Load with an *Error, whose text is one line that names
// the source, the key and what would be right. A main prints it and exits with status 2.
//
// The table in fields.go is the only schema. It gives every setting its TOML key, the SCRIBE_SECTION_KEY variable
// that follows from the key, the short forms the contract names, the bounds, and the help text; the file reader, the
// environment, the flags, --help and docs/configuration.md all come from it.
//
// The package is pure but for the readFile function handed to Load, which also reads the files that hold credentials: no
// clock, no goroutine, no os call. What only the
// system can tell (is the port free, is the directory another node's) is not checked here.
//
// Secrets are kept in Secret, which prints as a placeholder in every format; a caller must use Reveal only where the
// secret is used, never to log it.
package config
