package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// callTime is what a call may take before it counts as failed.
const callTime = 10 * time.Second

// etcdGo drives etcd through its Go client, a goroutine a caller.
type etcdGo struct {
	conns int // over all members
	// stubs calls the generated gRPC stubs over the client's connection, past its retries and its copying of answers.
	stubs bool
}

// call does one request and returns how many bytes the value had.
type call func(ctx context.Context, key string, value []byte) (int, error)

func (d etcdGo) run(l load) (outcome, error) {
	var calls []call
	for i := range max(d.conns, len(l.addrs)) {
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{l.addrs[i%len(l.addrs)]}, DialTimeout: callTime})
		if err != nil {
			return outcome{}, err
		}
		defer c.Close()
		calls = append(calls, d.call(c, l.kind))
	}
	var phase atomic.Int32 // 0 warming, 1 measured, 2 over
	tallies := make([]tally, l.conns)
	var callers sync.WaitGroup
	for i := range l.conns {
		w := newWork(l, i)
		callers.Go(func() { callUntilOver(calls[i%len(calls)], l.kind, w, &phase, &tallies[i]) })
	}
	time.Sleep(l.warm)
	phase.Store(1)
	began := time.Now()
	l.edge()
	time.Sleep(l.measured)
	l.edge()
	elapsed := time.Since(began)
	phase.Store(2)
	callers.Wait()
	var total tally
	for i := range tallies {
		total.merge(&tallies[i])
	}
	return total.outcome(elapsed), nil
}

func callUntilOver(do call, k kind, w *work, phase *atomic.Int32, t *tally) {
	for phase.Load() < 2 && t.errors < maxErrors {
		number, _ := w.next()
		key := string(appendKey(nil, number))
		var value []byte
		if k == put {
			value = w.value()
		}
		ctx, cancel := context.WithTimeout(context.Background(), callTime)
		from := time.Now()
		size, err := do(ctx, key, value)
		took := time.Since(from)
		cancel()
		switch {
		case err != nil:
			t.fail(err.Error())
		case k == get && size != valueBytes:
			t.fail(fmt.Sprintf("a value of %d bytes", size))
		case phase.Load() == 1:
			t.ok(took)
		}
	}
}

func (d etcdGo) call(c *clientv3.Client, k kind) call {
	stubs := etcdserverpb.NewKVClient(c.ActiveConnection())
	switch {
	case d.stubs && k == put:
		return func(ctx context.Context, key string, value []byte) (int, error) {
			_, err := stubs.Put(ctx, &etcdserverpb.PutRequest{Key: []byte(key), Value: value})
			return 0, err
		}
	case d.stubs:
		return func(ctx context.Context, key string, _ []byte) (int, error) {
			r, err := stubs.Range(ctx, &etcdserverpb.RangeRequest{Key: []byte(key)})
			if err != nil || len(r.Kvs) == 0 {
				return 0, err
			}
			return len(r.Kvs[0].Value), nil
		}
	case k == put:
		return func(ctx context.Context, key string, value []byte) (int, error) {
			_, err := c.Put(ctx, key, string(value))
			return 0, err
		}
	}
	return func(ctx context.Context, key string, _ []byte) (int, error) {
		r, err := c.Get(ctx, key)
		if err != nil || len(r.Kvs) == 0 {
			return 0, err
		}
		return len(r.Kvs[0].Value), nil
	}
}
