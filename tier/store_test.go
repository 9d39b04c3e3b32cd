package tier_test

import (
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tier/storetest"
	"github.com/scribe-ledger/scribe/vfs"
)

func TestMem(t *testing.T) {
	opts := tier.MemOptions{PartBytes: 64 << 10}
	storetest.Run(t, storetest.Kit{
		Open: func(testing.TB) tier.Store { return tier.NewMem(opts) },
		OpenLocked: func(testing.TB) tier.Store {
			locked := opts
			locked.Retention = time.Hour
			return tier.NewMem(locked)
		},
		Large: 150_000,
	})
}

func TestDir(t *testing.T) {
	for name, open := range map[string]func(testing.TB) (vfs.FS, string){
		"OS":  func(t testing.TB) (vfs.FS, string) { return vfs.NewOS(), t.TempDir() },
		"Mem": func(testing.TB) (vfs.FS, string) { return vfs.NewMem(), "/cold" },
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, storetest.Kit{
				Open: func(t testing.TB) tier.Store {
					fsys, root := open(t)
					d, err := tier.NewDir(fsys, root, tier.DirOptions{LockPoll: time.Millisecond})
					if err != nil {
						t.Fatal(err)
					}
					return d
				},
				Large: 3 << 20,
			})
		})
	}
}
