package archive

import (
	"context"
	"errors"
	"fmt"

	"github.com/scribe-ledger/scribe/tier"
)

// TakeOver makes another cluster the owner of what is published, for a restore that goes on in the archive that it reads: from
// then on the cluster before publishes nothing more, so that what is restored stays the newest state until the new cluster
// publishes its own. claimant says, of what is published, which cluster that is; "" leaves everything as it is. Nothing
// changes but the owner and the version, by If-Match. A cluster that is the owner stays it, with no change: a restore that
// was cut short is run again, by the same cluster or another.
//
// It returns latest as it stands then; each request is made once. Errors are those of ReadLatest, and the store's.
func TakeOver(ctx context.Context, s tier.Store, claimant func(now Latest) string) (Latest, error) {
	for range maxMoves {
		now, etag, err := readLatest(ctx, s)
		if err != nil {
			return Latest{}, err
		}
		cluster := claimant(now)
		if cluster == "" || cluster == now.Owner.Cluster {
			return now, nil
		}
		now.Version++
		now.Owner = Owner{Cluster: cluster, Since: now.Version, Restored: now.ManifestSHA256}
		b, err := now.encode()
		if err != nil {
			return Latest{}, err
		}
		_, err = s.Replace(ctx, tier.LatestName, tier.BytesBody(b), etag, tier.PutOptions{})
		if err == nil {
			return now, nil
		}
		if !errors.Is(err, tier.ErrChanged) {
			return Latest{}, failed(s, "take it over", err)
		}
	}
	return Latest{}, failed(s, "take it over", fmt.Errorf("%w again and again: publishers are at work", errMoved))
}
