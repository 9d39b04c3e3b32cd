package s3store

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
	"golang.org/x/sync/semaphore"

	"github.com/scribe-ledger/scribe/tier"
)

// Store is an object store over S3. All methods are safe for concurrent use.
type Store struct {
	opts   Options
	client *s3.Client
	prefix string                              // of all keys: empty, or with a slash at its end
	slots  *semaphore.Weighted                 // one for each body or part under way
	idle   interface{ CloseIdleConnections() } // nil when the transport is the caller's
}

var (
	_ tier.Store   = (*Store)(nil)
	_ tier.Locking = (*Store)(nil)
)

// New returns a store over a bucket. It makes no request and looks for no credentials: [tier.Preflight] says whether the
// bucket will do. An error is tier.ErrInvalid, of the options.
func New(opts Options) (*Store, error) {
	opts, err := opts.filled()
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	s := &Store{opts: opts, slots: semaphore.NewWeighted(int64(opts.Parallel))}
	if opts.Prefix != "" {
		s.prefix = opts.Prefix + "/"
	}
	round := opts.Transport
	if round == nil {
		t := transport(opts.Timeout)
		round, s.idle = t, t
	}
	o := s3.Options{
		Region:                     opts.Region,
		UsePathStyle:               opts.PathStyle,
		Credentials:                aws.NewCredentialsCache(credentials{opts.provider()}),
		HTTPClient:                 &http.Client{Transport: round, CheckRedirect: noRedirects},
		Retryer:                    aws.NopRetryer{},
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		// Blocks have checksums, whole objects their SHA-256; S3 has none for a range.
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		// Bodies are small enough to be sent without asking first.
		ContinueHeaderThresholdBytes: -1,
	}
	if opts.Endpoint != "" {
		o.BaseEndpoint = aws.String(opts.Endpoint)
	}
	s.client = s3.New(o)
	return s, nil
}

// noRedirects: a redirect names the region a bucket is in. Following it would send the request, signed, elsewhere.
func noRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// provider returns the credentials of the options, or the SDK's chain.
func (o Options) provider() aws.CredentialsProvider {
	if o.AccessKeyID != "" {
		return awscredentials.NewStaticCredentialsProvider(o.AccessKeyID, o.SecretAccessKey, o.SessionToken)
	}
	return &chain{region: o.Region}
}

// chain is the SDK's usual chain of credentials. Its files are read when the first credentials are needed, and again
// until that worked: what is wrong with them is then an error of the request, which may be made again.
type chain struct {
	region string

	mu    sync.Mutex
	found aws.CredentialsProvider // guarded by mu; nil until the chain was read
}

func (c *chain) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := c.read(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	return found.Retrieve(ctx)
}

func (c *chain) read(ctx context.Context) (aws.CredentialsProvider, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.found == nil {
		conf, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(c.region),
			awsconfig.WithLogger(logging.Nop{})) // which would be standard error: what matters is in the error
		if err != nil {
			return nil, err
		}
		c.found = conf.Credentials
	}
	return c.found, nil
}

// Close gives up idle connections.
func (s *Store) Close() error {
	if s.idle != nil {
		s.idle.CloseIdleConnections()
	}
	return nil
}

// Name implements tier.Store.
func (s *Store) Name() string {
	return strings.TrimSuffix("s3://"+s.opts.Bucket+"/"+s.prefix, "/")
}

func (s *Store) key(key string) *string { return aws.String(s.prefix + key) }

func (s *Store) bucket() *string { return aws.String(s.opts.Bucket) }

// allowed is how long a request with a body of n bytes may take.
func (s *Store) allowed(n int64) time.Duration {
	return s.opts.Timeout + time.Duration(float64(n)/float64(s.opts.MinBytesPerSecond)*float64(time.Second))
}

// request gives a request with a body of n bytes its deadline.
func (s *Store) request(ctx context.Context, n int64) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.allowed(n))
}

// invalid is the error for arguments that are outside the bounds.
func invalid(op, key string, err error) error { return &tier.Error{Op: op, Key: key, Err: err} }
