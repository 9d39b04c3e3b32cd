package raft

// SoftState is the state of the moment that need not survive a restart: a cheap part of Status.
func (c *Core) SoftState() SoftState { return c.softState() }
