package node

// privateProblem is the problem of TierOptions.Private.
const privateProblem = "this node's own folder is no store for a ledger of several members: what is in it is read, and " +
	"nothing is uploaded, published or evicted; name a store all members reach: tier.backend, tier.dir or tier.s3"

// withhold leaves a store that no other member reaches as it is, for as long as there are others: what is uploaded there is
// lost to them with this node, and each of several such stores would have a part of the archive. The caller holds mu.
func (t *tiering) withhold() {
	o, several := &t.opening, t.opts.Private && len(t.n.status.Load().Members.Members) > 1
	switch {
	case several && !o.withheld:
		*o = opening{report: o.report, problem: privateProblem, withheld: true}
		t.stopUploads()
		t.n.opts.Logger.Warn("the cold tier is not used: there are other members, and they do not reach it", "store",
			t.opts.Store.Name(), "problem", privateProblem)
	case !several && o.withheld:
		*o = opening{}
		t.n.opts.Logger.Info("the cold tier is used again: there are no other members any more", "store", t.opts.Store.Name())
	}
	if !o.withheld {
		return
	}
	for _, r := range t.rounds {
		if r.stage != roundEnded {
			r.problem = privateProblem
			t.endRound(r)
		}
	}
}
