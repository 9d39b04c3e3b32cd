// Package s3test gives tests a real S3 server: versitygw, which is pinned in tools/go.mod, on a loopback port, with data
// in a directory of the test. It is built when it is not there yet; a test that cannot have it fails, it never skips.
package s3test
