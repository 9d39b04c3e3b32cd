package s3store

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/scribe-ledger/scribe/tier"
)

// Options are the settings of a Store. Zero values mean the defaults given.
type Options struct {
	Bucket string
	// Prefix stands before all keys, with a slash between them. At most 256 bytes.
	Prefix   string
	Region   string // default us-east-1
	Endpoint string // URL; empty is AWS
	// PathStyle names the bucket in the path and not in the host, as most servers other than AWS want it.
	PathStyle bool

	// AccessKeyID and SecretAccessKey are the credentials; empty, both, is the SDK's usual chain: environment, shared
	// files, web identity, the instance's role.
	AccessKeyID, SecretAccessKey, SessionToken string

	StorageClass string        // of sealed objects; empty is the bucket's default
	LockMode     string        // "governance" or "compliance" locks sealed objects; empty does not
	Retention    time.Duration // for how long from their making; needed with LockMode
	Encryption   string        // on the server: "AES256" or "aws:kms"; empty is the bucket's default
	KMSKeyID     string        // with aws:kms; empty is the account's own key

	// PartBytes is the size from which on a body goes up in parts, of this size. 5 MiB to 64 MiB. Default 8 MiB.
	PartBytes int64
	// Parallel is how many bodies and parts may be under way to the store at once, over all of the store's callers.
	// Default 4, at most 64.
	Parallel int
	// PartTries is how often a part is sent before the upload fails. Default 3.
	PartTries int
	// Timeout is how long a request may take beside the time for its body. Default 30 s.
	Timeout time.Duration
	// MinBytesPerSecond is the rate below which a body is given up. Default 65,536.
	MinBytesPerSecond int64

	// Now is the clock for retention dates. nil: the system's.
	Now func() time.Time
	// Transport makes the requests. nil: one of the store's own.
	Transport http.RoundTripper
}

const (
	minPartBytes   = 5 << 20 // what S3 asks of all parts but the last
	maxPartBytes   = 64 << 20
	maxParts       = 10_000
	maxParallel    = 64
	maxPrefixBytes = 256
)

// filled returns the options with defaults, or what is wrong with them.
func (o Options) filled() (Options, error) {
	o.Region = cmp.Or(o.Region, "us-east-1")
	o.PartBytes = cmp.Or(o.PartBytes, 8<<20)
	o.Parallel = cmp.Or(o.Parallel, 4)
	o.PartTries = cmp.Or(o.PartTries, 3)
	o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	o.MinBytesPerSecond = cmp.Or(o.MinBytesPerSecond, 64<<10)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Prefix != "" {
		if err := tier.CheckKey(o.Prefix); err != nil {
			return o, err
		}
	}
	switch {
	case o.Bucket == "" || strings.ContainsAny(o.Bucket, "/ ?#"):
		return o, bad("the bucket is %q", o.Bucket)
	case len(o.Prefix) > maxPrefixBytes:
		return o, bad("the prefix has %d bytes, at most %d are allowed", len(o.Prefix), maxPrefixBytes)
	case (o.AccessKeyID == "") != (o.SecretAccessKey == ""):
		return o, bad("an access key id and its secret are given together or not at all")
	case o.PartBytes < minPartBytes || o.PartBytes > maxPartBytes:
		return o, bad("parts of %d bytes; %d to %d are allowed", o.PartBytes, minPartBytes, maxPartBytes)
	case o.Parallel < 1 || o.Parallel > maxParallel:
		return o, bad("%d parts at once; 1 to %d are allowed", o.Parallel, maxParallel)
	case o.PartTries < 1 || o.Timeout < 0 || o.MinBytesPerSecond < 0:
		return o, bad("a setting is negative")
	case o.LockMode != "" && (o.lockMode() == "" || o.Retention <= 0):
		return o, bad("object lock %q for %v", o.LockMode, o.Retention)
	case o.Encryption != "" && o.Encryption != string(types.ServerSideEncryptionAes256) &&
		o.Encryption != string(types.ServerSideEncryptionAwsKms):
		return o, bad("server-side encryption %q; AES256 and aws:kms are known", o.Encryption)
	}
	if o.Endpoint != "" {
		u, err := url.Parse(o.Endpoint)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return o, bad("the endpoint %q is no URL of http or https", o.Endpoint)
		}
	}
	return o, nil
}

func bad(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{tier.ErrInvalid}, args...)...)
}

func (o Options) lockMode() types.ObjectLockMode {
	switch strings.ToLower(o.LockMode) {
	case "governance":
		return types.ObjectLockModeGovernance
	case "compliance":
		return types.ObjectLockModeCompliance
	}
	return ""
}

// transport is an http.Transport that gives up on what does not answer and keeps connections for those who read in
// parallel. It asks for no compression: ranges are of the bytes as they are stored.
func transport(timeout time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: min(timeout, 5*time.Second), KeepAlive: 15 * time.Second}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		TLSHandshakeTimeout:   min(timeout, 5*time.Second),
		ResponseHeaderTimeout: timeout,
		ExpectContinueTimeout: time.Second,
		MaxIdleConns:          128,
		MaxIdleConnsPerHost:   128,
		MaxConnsPerHost:       256,
		IdleConnTimeout:       60 * time.Second,
		DisableCompression:    true,
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
	}
}
