package cold

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/bench/phase"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tier/s3store"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// uploads is what a round uploads: the segments of the data, over and over until there is enough of them.
type uploads struct {
	segments []manifest.Segment
	source   string
	tasks    int
	bytes    int64
}

func (p plan) uploads(ctx context.Context) (u uploads, err error) {
	store, err := p.Bucket.open(dataPrefix, nil)
	if err != nil {
		return u, err
	}
	a, err := archive.Read(ctx, store)
	if err != nil {
		return u, err
	}
	u.segments, u.source = a.State.Segments, filepath.Join(p.Source, "segments")
	for ; u.bytes < p.UploadBytes; u.tasks++ {
		u.bytes += int64(u.task(u.tasks).Object.Bytes)
	}
	return u, store.Close()
}

func (u *uploads) task(i int) manifest.Segment { return u.segments[i%len(u.segments)] }

// open opens the file of task i.
func (u *uploads) open(i int) (*os.File, manifest.Segment, error) {
	g := u.task(i)
	f, err := os.Open(filepath.Join(u.source, tlog.SegmentID(g.FirstSeq, g.LastSeq)+".seg"))
	if err != nil {
		return nil, g, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() != int64(g.Object.Bytes) {
		err = fmt.Errorf("%s has %d bytes, its object %d", f.Name(), info.Size(), g.Object.Bytes)
	}
	return f, g, err
}

// file is what the uploader is given for task i. One name can be put once, so each turn has seqs of its own.
func (u *uploads) file(f *os.File, i int) tier.SegmentFile {
	g, turn := u.task(i), uint64(i/len(u.segments))<<40
	return tier.SegmentFile{SegmentMetadata: tier.SegmentMetadata{FirstSeq: g.FirstSeq + turn, LastSeq: g.LastSeq + turn,
		Entries: g.Entries, Root: g.Root, MetaOffset: int64(g.Object.MetaOffset), MinKey: g.MinKey, MaxKey: g.MaxKey},
		Bytes: f, Size: int64(g.Object.Bytes)}
}

func nameOf(f tier.SegmentFile) string { return tier.SegmentName(f.FirstSeq, f.LastSeq, f.Root) }

// step is what is done to each segment, and measured apart.
type step struct {
	name string
	do   func(ctx context.Context, s *s3store.Store, u *uploads, i int) error
}

// measureUploads has each step done for all tasks, in a folder of the bucket of its own, and removes what that made.
func (p plan) measureUploads(steps ...step) (out figures, err error) {
	ctx := context.Background()
	u, err := p.uploads(ctx)
	if err != nil {
		return nil, err
	}
	store, err := p.Bucket.open(p.Phase, nil)
	if err != nil {
		return nil, err
	}
	collect(64<<20, 64<<20)
	stop, err := p.profile()
	if err != nil {
		return nil, err
	}
	for _, x := range steps {
		growth, err := watch()
		if err != nil {
			return nil, err
		}
		began := time.Now()
		err = phase.Together(p.Files, u.tasks, func(i int) error { return x.do(ctx, store, &u, i) })
		out.rate(x.name, u.bytes, time.Since(began))
		grown, gerr := growth()
		out.add(x.name+": memory grew by, MiB", float64(grown.all)/(1<<20))
		if err := errors.Join(err, gerr); err != nil {
			return nil, err
		}
	}
	return out, errors.Join(stop(), removeAll(ctx, store), store.Close())
}

func removeAll(ctx context.Context, s *s3store.Store) error {
	for {
		page, err := s.List(ctx, "", "", 0)
		if err != nil || len(page.Objects) == 0 {
			return err
		}
		for _, o := range page.Objects {
			if err := s.Delete(ctx, o.Key); err != nil {
				return err
			}
		}
	}
}

// runUpload is the node's own uploader: hashed, put and read back.
func runUpload(p plan) (figures, error) {
	return p.measureUploads(step{"upload, hashed and read back", func(ctx context.Context, s *s3store.Store, u *uploads, i int) error {
		return u.upload(ctx, s, i, true, nil)
	}})
}

// runDaemon is that, and before it what the daemon does: it holds the file against the segment's root.
func runDaemon(p plan) (figures, error) {
	return p.measureUploads(step{"upload, verified, hashed and read back",
		func(ctx context.Context, s *s3store.Store, u *uploads, i int) error {
			return u.upload(ctx, s, i, true, verify)
		}})
}

func (u *uploads) upload(ctx context.Context, s *s3store.Store, i int, make bool,
	before func(context.Context, *os.File, manifest.Segment) error) error {
	f, g, err := u.open(i)
	if err != nil {
		return err
	}
	defer f.Close()
	if before != nil {
		if err := before(ctx, f, g); err != nil {
			return err
		}
	}
	file := u.file(f, i)
	if !make {
		file.SHA256 = (*[32]byte)(&g.Object.SHA256)
	}
	_, made, err := tier.NewUploader(s, tier.UploaderOptions{}).Upload(ctx, file)
	if err == nil && made != make {
		err = fmt.Errorf("that it was made by this call is %v", made)
	}
	return err
}

// runPut hashes and puts, and then, for a figure of its own, has the uploader read back what it finds there.
func runPut(p plan) (figures, error) {
	return p.measureUploads(step{"upload: hash and put", func(ctx context.Context, s *s3store.Store, u *uploads, i int) error {
		f, g, err := u.open(i)
		if err != nil {
			return err
		}
		defer f.Close()
		body, err := tier.NewBody(f, int64(g.Object.Bytes))
		if err != nil {
			return err
		}
		file := u.file(f, i)
		_, err = s.Put(ctx, nameOf(file), body, tier.PutOptions{Metadata: file.Metadata(), Sealed: true})
		return err
	}}, step{"upload: read back", func(ctx context.Context, s *s3store.Store, u *uploads, i int) error {
		return u.upload(ctx, s, i, false, nil)
	}})
}

func verify(ctx context.Context, f *os.File, g manifest.Segment) error {
	file, err := vfs.NewOS().Open(f.Name())
	if err != nil {
		return err
	}
	defer file.Close()
	src, err := segfile.NewFileSource(f.Name(), file)
	if err != nil {
		return err
	}
	table, err := sstable.Open(src, sstable.Options{ResidentBytes: -1})
	if err != nil {
		return err
	}
	if table.Info().Root != g.Root {
		return errors.New("another root")
	}
	return table.Verify(ctx, nil)
}

// runTransferManager is the SDK's transfer manager as it comes: parts of 8 MiB, five at a time of each file, CRC32.
func runTransferManager(p plan) (figures, error) {
	return p.transferManager("upload: the SDK's transfer manager", "")
}

// runTransferManagerSHA256 has it send the checksums that the uploader sends.
func runTransferManagerSHA256(p plan) (figures, error) {
	return p.transferManager("upload: the SDK's transfer manager with SHA-256", types.ChecksumAlgorithmSha256)
}

func (p plan) transferManager(name string, sum types.ChecksumAlgorithm) (figures, error) {
	client := s3.New(s3.Options{Region: p.Bucket.Region, UsePathStyle: true, BaseEndpoint: aws.String(p.Bucket.Endpoint),
		Credentials: credentials.NewStaticCredentialsProvider(p.Bucket.AccessKey, p.Bucket.SecretKey, "")})
	manager := transfermanager.New(client, func(o *transfermanager.Options) {
		o.ChecksumAlgorithm = cmp.Or(sum, o.ChecksumAlgorithm)
	})
	return p.measureUploads(step{name, func(ctx context.Context, _ *s3store.Store, u *uploads, i int) error {
		f, _, err := u.open(i)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = manager.UploadObject(ctx, &transfermanager.UploadObjectInput{Bucket: aws.String(p.Bucket.Name), Body: f,
			Key: aws.String(p.Phase + "/" + nameOf(u.file(f, i)))})
		return err
	}})
}
