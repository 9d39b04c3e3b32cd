// Package s3test gives tests a real S3 server, on a loopback port, with data in a directory of the test: versitygw, which
// tools/go.mod pins, or MinIO (tools/minio/go.mod) for those who ask for it. The program is built when it is not there
// yet, which takes some minutes the first time; a test that cannot have it fails, it never skips.
package s3test
