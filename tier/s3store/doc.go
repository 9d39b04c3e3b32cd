// Package s3store is the object store over S3, and whatever speaks its protocol.
package s3store
