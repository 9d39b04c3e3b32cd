package s3store

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/scribe-ledger/scribe/tier"
)

// Store is an object store over S3. All methods are safe for concurrent use.
type Store struct {
	opts    Options
	client  *s3.Client
	prefix  string // of all keys: empty, or with a slash at its end
	buffers *buffers
	idle    interface{ CloseIdleConnections() } // nil when the transport is the caller's
}

var (
	_ tier.Store   = (*Store)(nil)
	_ tier.Locking = (*Store)(nil)
)

// New returns a store over a bucket. It makes no request to the bucket: [tier.Preflight] says whether it will do. ctx
// bounds the reading of shared configuration files.
func New(ctx context.Context, opts Options) (*Store, error) {
	opts, err := opts.filled()
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	s := &Store{opts: opts, buffers: newBuffers(opts.Parallel, opts.PartBytes)}
	if opts.Prefix != "" {
		s.prefix = opts.Prefix + "/"
	}
	round := opts.Transport
	if round == nil {
		t := transport(opts.Timeout)
		round, s.idle = t, t
	}
	provider, err := opts.provider(ctx)
	if err != nil {
		return nil, fmt.Errorf("s3: credentials: %w", err)
	}
	o := s3.Options{
		Region:                     opts.Region,
		UsePathStyle:               opts.PathStyle,
		Credentials:                aws.NewCredentialsCache(credentials{provider}),
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
func (o Options) provider(ctx context.Context) (aws.CredentialsProvider, error) {
	if o.AccessKeyID != "" {
		return awscredentials.NewStaticCredentialsProvider(o.AccessKeyID, o.SecretAccessKey, o.SessionToken), nil
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	c, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(o.Region))
	if err != nil {
		return nil, err
	}
	return c.Credentials, nil
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
