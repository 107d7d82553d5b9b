package build

import (
	"fmt"
	"strings"
	"sync"

	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
)

// vertex is one operation of the graph. It is solved once, whoever asks first.
type vertex struct {
	op       *pb.Op
	name     string // as it is shown; empty: not shown
	noCache  bool
	internal bool // of the front end's own making, such as an inline document
	source   *errdefs.Source
	inputs   []*vertex

	once sync.Once
	out  *outcome
	err  error
}

// outcome is what a vertex made.
type outcome struct {
	snaps   []*snapshot // by output index
	created map[string]createdAt
}

// snap is output i; scratch where the operation has none.
func (o *outcome) snap(i int64) (*snapshot, error) {
	if o == nil || i < 0 || int(i) >= len(o.snaps) {
		return nil, fmt.Errorf("operation has no output %d", i)
	}
	return o.snaps[i], nil
}

// graph holds every vertex of a build by digest: the front end marshals the same operations several times.
type graph struct {
	mu sync.Mutex
	vs map[digest.Digest]*vertex
}

// load adds a definition and returns the vertex and the output it asks for; a nil vertex is scratch.
func (g *graph) load(def *pb.Definition) (*vertex, int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.vs == nil {
		g.vs = map[digest.Digest]*vertex{}
	}
	var last *pb.Op
	for _, dt := range def.GetDef() {
		op := &pb.Op{}
		if err := op.Unmarshal(dt); err != nil {
			return nil, 0, fmt.Errorf("decode build graph: %w", err)
		}
		last = op
		dgst := digest.FromBytes(dt)
		if g.vs[dgst] != nil || op.Op == nil {
			continue
		}
		v, err := g.newVertex(op, dgst, def)
		if err != nil {
			return nil, 0, err
		}
		g.vs[dgst] = v
	}
	if last == nil || len(last.Inputs) == 0 {
		return nil, 0, nil
	}
	v := g.vs[digest.Digest(last.Inputs[0].Digest)]
	if v == nil {
		return nil, 0, fmt.Errorf("decode build graph: no operation %s", last.Inputs[0].Digest)
	}
	return v, last.Inputs[0].Index, nil
}

// newVertex makes a vertex whose inputs are there already: definitions are in topological order.
func (g *graph) newVertex(op *pb.Op, dgst digest.Digest, def *pb.Definition) (*vertex, error) {
	v := &vertex{op: op, source: sourceOf(def, dgst)}
	if err := validate(op); err != nil {
		return nil, err
	}
	for _, in := range op.Inputs {
		iv := g.vs[digest.Digest(in.Digest)]
		if iv == nil {
			return nil, fmt.Errorf("decode build graph: no operation %s", in.Digest)
		}
		v.inputs = append(v.inputs, iv)
	}
	if m := def.Metadata[dgst.String()]; m != nil {
		v.noCache = m.IgnoreCache
		v.name = m.Description["llb.customname"]
	}
	v.internal = strings.HasPrefix(v.name, "[internal]")
	return v, nil
}

// sourceOf is the place in the Dockerfile an operation comes from, or nil.
func sourceOf(def *pb.Definition, dgst digest.Digest) *errdefs.Source {
	src := def.GetSource()
	locs := src.GetLocations()[dgst.String()]
	for _, l := range locs.GetLocations() {
		if len(l.Ranges) == 0 || l.SourceIndex < 0 || int(l.SourceIndex) >= len(src.Infos) {
			continue
		}
		return &errdefs.Source{Info: src.Infos[l.SourceIndex], Ranges: l.Ranges}
	}
	return nil
}

// validate refuses operations the executor would trip over. The front end makes none of them.
func validate(op *pb.Op) error {
	switch o := op.Op.(type) {
	case *pb.Op_Exec:
		return validateExec(o.Exec, len(op.Inputs))
	case *pb.Op_File:
		return validateFile(o.File, len(op.Inputs))
	case *pb.Op_Merge:
		for _, in := range o.Merge.GetInputs() {
			if in.Input < -1 || int(in.Input) >= len(op.Inputs) {
				return fmt.Errorf("invalid merge: no input %d", in.Input)
			}
		}
	}
	return nil
}

func validateExec(e *pb.ExecOp, inputs int) error {
	if e.GetMeta() == nil || len(e.Meta.Args) == 0 {
		return fmt.Errorf("invalid exec: no command")
	}
	root := false
	for _, m := range e.Mounts {
		if m.Input < -1 || m.Input >= int64(inputs) {
			return fmt.Errorf("invalid exec: no input %d", m.Input)
		}
		root = root || m.Dest == pb.RootMount && m.MountType == pb.MountType_BIND
	}
	if !root {
		return fmt.Errorf("invalid exec: no root")
	}
	return nil
}

func validateFile(f *pb.FileOp, inputs int) error {
	if len(f.GetActions()) == 0 {
		return fmt.Errorf("invalid file operation: no action")
	}
	for i, a := range f.Actions {
		limit := int64(inputs + i) // an action may use the inputs and what came before it
		if a.Input < -1 || a.Input >= limit || a.SecondaryInput < -1 || a.SecondaryInput >= limit {
			return fmt.Errorf("invalid file operation: action %d has no input", i)
		}
	}
	return nil
}
