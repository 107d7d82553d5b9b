package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/linux/idrange"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/oci"
)

// allIDs is how many ids there are without a user namespace.
const allIDs = math.MaxUint32

// assignIDs gives the container its own range of host ids. A rootless container gets those of the user's
// namespace instead: its own user namespace maps them one to one. Who joins a user namespace gets those that it has.
func (e *Engine) assignIDs(s *Sandbox, opts *oci.SpecOptions, r *Running) error {
	at, shared := opts.SharedNamespace(specs.UserNamespace)
	switch {
	case shared && at == "":
		r.ids = runExtra{IDCount: allIDs}
		opts.Mounts = withoutIDMap(opts.Mounts)
		return nil
	case shared:
		return e.inheritIDs(s.donor, opts, r)
	case e.Rootless:
		n, err := mappedIDs()
		r.ids = runExtra{IDCount: n}
		opts.HostIDBase, opts.IDCount = 0, n
		opts.Mounts = withoutIDMap(opts.Mounts)
		return err
	}
	ids, err := idrange.Acquire(s.ID)
	if err != nil {
		return fmt.Errorf("acquire host ids: %w", err)
	}
	r.holdIDs(ids)
	r.ids = runExtra{HostIDBase: ids.HostBase, IDCount: idrange.Size}
	opts.HostIDBase, opts.IDCount = ids.HostBase, idrange.Size
	return nil
}

func (r *Running) holdIDs(ids *idrange.Range) {
	r.onRelease(func(context.Context) error {
		ids.Release()
		return nil
	})
}

// inheritIDs keeps the range of the container that is joined from others for as long as this one runs, too.
func (e *Engine) inheritIDs(d *donor, opts *oci.SpecOptions, r *Running) error {
	r.ids = d.extra
	opts.HostIDBase, opts.IDCount = d.extra.HostIDBase, d.extra.IDCount
	if e.Rootless {
		opts.Mounts = withoutIDMap(opts.Mounts)
		return nil
	}
	ids, err := idrange.Inherit(d.state.MonitorPid, d.extra.HostIDBase)
	if err != nil {
		return fmt.Errorf("share host ids: %w", err)
	}
	r.holdIDs(ids)
	return nil
}

// read takes the engine's part out of a state.
func (x *runExtra) read(st store.State) error {
	if err := json.Unmarshal(st.Extra, x); err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	return nil
}
