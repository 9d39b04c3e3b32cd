package s3test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sys/unix"
)

// Server is a running S3 server.
type Server struct {
	Endpoint             string // URL
	AccessKey, SecretKey string
	Region               string
	Bucket               string // without Object Lock and versions
	LockedBucket         string // with Object Lock, and so with versions

	cmd  *exec.Cmd
	log  *bytes.Buffer
	done chan struct{} // closed when the process has ended
}

const (
	startTries   = 5 // ports that others may take before the server does
	startTimeout = 30 * time.Second
)

// Start starts a server with empty buckets that ends with the test. The test fails when it cannot be had.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := Run(VersityGW, t.TempDir(), 0)
	if err != nil {
		t.Fatalf("an S3 server: %v", err)
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() && s.log.Len() > 0 {
			t.Logf("the S3 server said: %s", s.log)
		}
	})
	return s
}

// Run starts a server of the kind that keeps its data in dir, an absolute path, and makes its buckets. Port 0 means one that is free.
func Run(kind, dir string, port int) (*Server, error) {
	binary, err := Binary(kind)
	if err != nil {
		return nil, err
	}
	data, versions := filepath.Join(dir, "data"), filepath.Join(dir, "versions")
	for _, d := range []string{data, versions} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	if port != 0 {
		return start(kind, binary, data, versions, port)
	}
	for range startTries {
		var s *Server
		if port, err = freePort(); err != nil {
			return nil, err
		}
		if s, err = start(kind, binary, data, versions, port); err == nil {
			return s, nil
		}
	}
	return nil, err
}

// start starts the server and waits until it answers.
func start(kind, binary, data, versions string, port int) (*Server, error) {
	s := &Server{
		Endpoint: fmt.Sprintf("http://127.0.0.1:%d", port), AccessKey: "scribe", SecretKey: "scribe-secret",
		Region: "us-east-1", Bucket: "scribe", LockedBucket: "scribe-locked",
		log: &bytes.Buffer{}, done: make(chan struct{}),
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	switch kind {
	case MinIO:
		s.cmd = exec.Command(binary, "server", "--address", address, "--quiet", data)
		s.cmd.Env = append(os.Environ(), "MINIO_ROOT_USER="+s.AccessKey, "MINIO_ROOT_PASSWORD="+s.SecretKey,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_CI_CD=1") // the last: data beside the system is all right
	default:
		s.cmd = exec.Command(binary, "--port", address, "--region", s.Region, "--quiet", "--keep-alive",
			"posix", "--versioning-dir", versions, data)
		s.cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s.AccessKey, "ROOT_SECRET_KEY="+s.SecretKey)
	}
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	endWithParent(s.cmd)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { // owned by the Server; Stop waits for it
		defer close(s.done)
		_ = s.cmd.Wait() // it ends by a signal
	}()
	if err := s.ready(); err != nil {
		s.Stop()
		return nil, fmt.Errorf("%w; it said: %s", err, s.log)
	}
	return s, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// ready waits until the server answers, and makes the buckets.
func (s *Server) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		err := s.makeBuckets(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("the server ended: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("not ready in %v: %w", startTimeout, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *Server) makeBuckets(ctx context.Context) error {
	if err := s.MakeBucket(ctx, s.Bucket, false); err != nil {
		return err
	}
	return s.MakeBucket(ctx, s.LockedBucket, true)
}

// MakeBucket makes a bucket, if there is none of the name.
func (s *Server) MakeBucket(ctx context.Context, name string, locked bool) error {
	_, err := s.Client().CreateBucket(ctx, &s3.CreateBucketInput{
		Bucket: aws.String(name), ObjectLockEnabledForBucket: aws.Bool(locked),
	})
	var own *types.BucketAlreadyOwnedByYou
	var taken *types.BucketAlreadyExists
	if errors.As(err, &own) || errors.As(err, &taken) {
		return nil
	}
	return err
}

// Client is a plain client of the SDK, for what a test does behind the back of a store.
func (s *Server) Client() *s3.Client {
	return s3.New(s3.Options{
		Region: s.Region, BaseEndpoint: aws.String(s.Endpoint), UsePathStyle: true, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
	})
}

// Stall stops the server's process (SIGSTOP) and waits until all its threads stand: on a busy machine the signal alone
// leaves them time to answer another request.
func (s *Server) Stall() error {
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for {
		err := unix.Waitid(unix.P_PID, s.cmd.Process.Pid, nil, unix.WSTOPPED, nil)
		if err != unix.EINTR {
			return os.NewSyscallError("waitid", err)
		}
	}
}

// Resume ends a stall.
func (s *Server) Resume() error { return s.cmd.Process.Signal(syscall.SIGCONT) }

// Done is closed when the server's process has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Log is what the server said; it is to be read once the server has ended.
func (s *Server) Log() string { return s.log.String() }

// Stop ends the server and waits for its end. It may be called again.
func (s *Server) Stop() {
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.done
}

// Environ configures a node for the server, as NAME=value.
func (s *Server) Environ() []string {
	return []string{
		"SCRIBE_TIER_BACKEND=s3", "SCRIBE_TIER_S3_BUCKET=" + s.Bucket, "SCRIBE_TIER_S3_ENDPOINT=" + s.Endpoint,
		"SCRIBE_TIER_S3_REGION=" + s.Region, "SCRIBE_TIER_S3_PATH_STYLE=true",
		"SCRIBE_TIER_S3_ACCESS_KEY_ID=" + s.AccessKey, "SCRIBE_TIER_S3_SECRET_ACCESS_KEY=" + s.SecretKey,
	}
}

// String says how to reach the server.
func (s *Server) String() string {
	return strings.Join([]string{
		"endpoint           " + s.Endpoint,
		"region             " + s.Region,
		"access key id      " + s.AccessKey,
		"secret access key  " + s.SecretKey,
		"bucket             " + s.Bucket,
		"with Object Lock   " + s.LockedBucket,
	}, "\n")
}
