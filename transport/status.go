package transport

// PeerStatus is how things stand with one peer.
type PeerStatus struct {
	ID        uint64
	Addr      string // where SetPeers says it listens; empty when it is only answered
	Connected bool   // messages reach it
	Bulk      bool   // so does bulk
	Inbound   int    // connections that it has to us
	LastError string // why there is no connection for messages; empty while there is one, and before the first attempt

	SentBytes     uint64 // of both classes, as all that follows
	ReceivedBytes uint64
	QueuedFrames  int
	QueuedBytes   int
	DroppedFrames uint64
}

// Peers tells how things stand with the peers, by ascending id.
func (t *Transport) Peers() []PeerStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []PeerStatus
	table := t.table()
	for _, id := range ids(table) {
		p := table[id]
		st := PeerStatus{ID: id, Inbound: p.inbound, Bulk: p.stream(Bulk).up()}
		for i, s := range p.streams {
			st.SentBytes += s.sent.bytes.Load()
			st.ReceivedBytes += p.received[i].bytes.Load()
			frames, bytes := s.queue.load()
			st.QueuedFrames += frames
			st.QueuedBytes += bytes
			for r := range s.dropped {
				st.DroppedFrames += s.dropped[r].Load()
			}
		}
		s := p.stream(Messages)
		s.mu.Lock()
		st.Addr, st.Connected = s.addr, s.connected
		if s.lastErr != nil {
			st.LastError = s.lastErr.Error()
		}
		s.mu.Unlock()
		all = append(all, st)
	}
	return all
}

// inbound is how many accepted connections are open.
func (t *Transport) inbound() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.conns)
}
