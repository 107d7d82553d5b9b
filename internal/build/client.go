package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	dref "github.com/distribution/reference"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/gateway/client"
	gwpb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	fstypes "github.com/tonistiigi/fsutil/types"
)

// gateway is what BuildKit's front end believes to be a BuildKit daemon.
type gateway struct {
	s    *solver
	opts map[string]string
	now  func() time.Time

	showOnce sync.Once

	mu         sync.Mutex
	dockerfile []byte
	warnings   []Warning
}

var (
	_ client.Client    = (*gateway)(nil)
	_ client.Reference = (*reference)(nil)
)

// BuildOpts are the options of the build and what this executor can do: everything Dockerfiles use.
func (g *gateway) BuildOpts() client.BuildOpts {
	return client.BuildOpts{
		Opts: g.opts, SessionID: "in-process", Product: "deckhand",
		Workers: []client.WorkerInfo{{Platforms: []v1.Platform{{OS: runtime.GOOS, Architecture: runtime.GOARCH}}}},
		LLBCaps: pb.Caps.CapSet(pb.Caps.All()), Caps: gwpb.Caps.CapSet(gwpb.Caps.All()),
	}
}

// Solve answers with a reference that is worked out when it is read.
func (g *gateway) Solve(ctx context.Context, req client.SolveRequest) (*client.Result, error) {
	if req.Frontend != "" {
		return nil, fmt.Errorf("front end %q from an image is not there: only the built-in one", req.FrontendOpt["source"])
	}
	r := &reference{g: g, def: req.Definition}
	if req.Evaluate {
		if err := r.Evaluate(ctx); err != nil {
			return nil, err
		}
	}
	res := client.NewResult()
	res.SetRef(r)
	return res, nil
}

// ResolveImageConfig finds an image and tells the front end its digest and config.
func (g *gateway) ResolveImageConfig(ctx context.Context, name string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) { //nolint:revive // BuildKit's interface
	named, err := dref.ParseNormalizedNamed(name)
	if err != nil {
		return "", "", nil, fmt.Errorf("parse image reference %q: %w", name, err)
	}
	named = dref.TagNameOnly(named)
	img, err := g.s.resolveImage(ctx, named.String(), opt)
	if err != nil {
		return "", "", nil, err
	}
	withDigest := named
	if _, ok := named.(dref.Digested); !ok {
		if withDigest, err = dref.WithDigest(named, img.Target.Digest); err != nil {
			return "", "", nil, fmt.Errorf("name image %s: %w", name, err)
		}
	}
	g.s.mu.Lock()
	g.s.images[withDigest.String()] = img
	g.s.images[named.String()] = img
	g.s.mu.Unlock()
	// the stored bytes, not our decoding of them: the front end decides what it keeps
	dt, err := g.s.b.Store.ReadBlob(img.ID)
	if err != nil {
		return "", "", nil, fmt.Errorf("read config of %s: %w", name, err)
	}
	return name, img.Target.Digest, dt, nil
}

// ResolveSourceMetadata is asked for images only; it answers as ResolveImageConfig does.
func (g *gateway) ResolveSourceMetadata(ctx context.Context, op *pb.SourceOp, opt sourceresolver.Opt) (*sourceresolver.MetaResponse, error) {
	const scheme = "docker-image://"
	if len(op.Identifier) <= len(scheme) || op.Identifier[:len(scheme)] != scheme {
		return nil, fmt.Errorf("source %s is not there yet", op.Identifier)
	}
	_, dgst, dt, err := g.ResolveImageConfig(ctx, op.Identifier[len(scheme):], opt)
	if err != nil {
		return nil, err
	}
	return &sourceresolver.MetaResponse{Op: op, Image: &sourceresolver.ResolveImageResponse{Digest: dgst, Config: dt}}, nil
}

// Inputs are none: named contexts go through the options.
func (*gateway) Inputs(context.Context) (map[string]llb.State, error) {
	return map[string]llb.State{}, nil
}

// NewContainer is for debuggers.
func (*gateway) NewContainer(context.Context, client.NewContainerRequest) (client.Container, error) {
	return nil, errors.New("containers of the front end are not there")
}

// Warn collects the lint warnings; they are shown at the end of the build.
func (g *gateway) Warn(_ context.Context, _ digest.Digest, msg string, o client.WarnOpts) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := newWarning(msg, o)
	if !slices.ContainsFunc(g.warnings, func(x Warning) bool { return x.Message == w.Message && x.Line == w.Line }) {
		g.warnings = append(g.warnings, w)
	}
	return nil
}

func (g *gateway) sortedWarnings() []Warning {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := slices.Clone(g.warnings)
	slices.SortStableFunc(out, func(a, b Warning) int { return a.Line - b.Line })
	return out
}

// reference is a result that the front end may read from.
type reference struct {
	g   *gateway
	def *pb.Definition
}

// ToState wraps the definition.
func (r *reference) ToState() (llb.State, error) {
	op, err := llb.NewDefinitionOp(r.def)
	if err != nil {
		return llb.State{}, fmt.Errorf("wrap definition: %w", err)
	}
	return llb.NewState(op), nil
}

// solved is a reference's snapshot with the creation times of its layers.
type solved struct {
	*snapshot
	created map[string]createdAt
}

func (r *reference) solve(ctx context.Context) (solved, error) {
	v, index, err := r.g.s.graph.load(r.def)
	if err != nil {
		return solved{}, err
	}
	if v == nil {
		return solved{snapshot: &snapshot{}}, nil
	}
	out, err := r.g.s.solve(ctx, v)
	if err != nil {
		return solved{}, err
	}
	sn, err := out.snap(index)
	if err != nil {
		return solved{}, err
	}
	return solved{sn, out.created}, nil
}

// Evaluate works the reference out.
func (r *reference) Evaluate(ctx context.Context) error {
	_, err := r.solve(ctx)
	return err
}

// localName is the build context the reference is, or "".
func (r *reference) localName() string {
	v, _, err := r.g.s.graph.load(r.def)
	if err != nil || v == nil {
		return ""
	}
	const scheme = "local://"
	if id := v.op.GetSource().GetIdentifier(); len(id) > len(scheme) && id[:len(scheme)] == scheme {
		return id[len(scheme):]
	}
	return ""
}

// ReadFile reads the Dockerfile, the ignore files, or a file of any other reference.
func (r *reference) ReadFile(ctx context.Context, q client.ReadRequest) ([]byte, error) {
	if r.localName() == localDockerfile {
		return r.g.readDockerfile(q)
	}
	host, release, err := r.find(ctx, q.Filename)
	if err != nil {
		return nil, err
	}
	defer release()
	return readRange(host, q)
}

// find is where a path of the reference lies on this machine, until release is called.
func (r *reference) find(ctx context.Context, name string) (host string, release func(), err error) {
	out, err := r.solve(ctx)
	if err != nil {
		return "", nil, err
	}
	t, release, err := r.g.s.stage.view(out.snapshot)
	if err != nil {
		return "", nil, err
	}
	rel, err := t.resolve(name, true)
	if err != nil {
		release()
		return "", nil, err
	}
	return t.host(rel), release, nil
}

// dockerfileName is what the front end and messages call the Dockerfile.
func dockerfileName(o Options) string {
	if o.DockerfileData != nil {
		return "Dockerfile"
	}
	return filepath.Base(o.Dockerfile)
}

// dockerfilePath is where the Dockerfile, or a file beside it, lies on this machine. One that the user has named may
// be a symlink to anywhere.
func (s *solver) dockerfilePath(name string) (string, error) {
	p := filepath.Join(filepath.Dir(s.opts.Dockerfile), filepath.Base(name))
	if s.opts.InContext {
		return inRoot(s.locals[localContext], p)
	}
	return p, nil
}

// readDockerfile serves the Dockerfile and the ignore file beside it.
func (g *gateway) readDockerfile(q client.ReadRequest) ([]byte, error) {
	o := g.s.opts
	name := path.Clean(q.Filename)
	g.showOnce.Do(func() {
		g.s.b.Progress.Start("[internal] load build definition from " + dockerfileName(o)).Done(nil)
	})
	if o.DockerfileData != nil {
		if name != dockerfileName(o) {
			return nil, fmt.Errorf("open %s: %w", name, fs.ErrNotExist)
		}
		g.setDockerfile(o.DockerfileData)
		return o.DockerfileData, nil
	}
	p, err := g.s.dockerfilePath(name)
	if err != nil {
		return nil, err
	}
	dt, err := readRange(p, q)
	if err == nil && filepath.Ext(name) != ".dockerignore" {
		g.setDockerfile(dt)
	}
	return dt, err
}

func (g *gateway) setDockerfile(dt []byte) {
	g.mu.Lock()
	g.dockerfile = dt
	g.mu.Unlock()
}

// readRange reads a regular file, or the part of it that is asked for.
func readRange(host string, q client.ReadRequest) ([]byte, error) {
	f, err := os.Open(host)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", q.Filename, errors.Unwrap(err))
	}
	defer func() { _ = f.Close() }() // it was only read
	fi, err := f.Stat()
	if err == nil && fi.IsDir() {
		return nil, fmt.Errorf("read %s: is a directory", q.Filename)
	}
	var r io.Reader = f
	if q.Range != nil {
		r = io.NewSectionReader(f, int64(q.Range.Offset), rangeLen(q.Range))
	}
	if err == nil && !fi.Mode().IsRegular() {
		r = f // a pipe knows no offsets: -f <(…)
	}
	dt, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", q.Filename, err)
	}
	return dt, nil
}

func rangeLen(r *client.FileRange) int64 {
	if r.Length == 0 {
		return 1<<63 - 1 - int64(r.Offset)
	}
	return int64(r.Length)
}

// StatFile describes one file.
func (r *reference) StatFile(ctx context.Context, q client.StatRequest) (*fstypes.Stat, error) {
	var fi fs.FileInfo
	if r.localName() == localDockerfile {
		if r.g.s.opts.DockerfileData != nil {
			return nil, fmt.Errorf("stat %s: %w", q.Path, fs.ErrNotExist)
		}
		p, err := r.g.s.dockerfilePath(q.Path)
		if err != nil {
			return nil, err
		}
		if fi, err = os.Stat(p); err != nil {
			return nil, fmt.Errorf("stat %s: %w", q.Path, errors.Unwrap(err))
		}
		return statOf(fi), nil
	}
	host, release, err := r.find(ctx, q.Path)
	if err != nil {
		return nil, err
	}
	defer release()
	if fi, err = os.Lstat(host); err != nil {
		return nil, fmt.Errorf("stat %s: %w", q.Path, errors.Unwrap(err))
	}
	return statOf(fi), nil
}

func statOf(fi fs.FileInfo) *fstypes.Stat {
	return &fstypes.Stat{Path: fi.Name(), Mode: uint32(fi.Mode()), Size: fi.Size(), ModTime: fi.ModTime().UnixNano()}
}

// ReadDir lists a directory.
func (r *reference) ReadDir(ctx context.Context, q client.ReadDirRequest) ([]*fstypes.Stat, error) {
	host, release, err := r.find(ctx, q.Path)
	if err != nil {
		return nil, err
	}
	defer release()
	des, err := os.ReadDir(host)
	if err != nil {
		return nil, fmt.Errorf("read directory %s: %w", q.Path, errors.Unwrap(err))
	}
	var out []*fstypes.Stat
	for _, de := range des {
		fi, err := de.Info()
		if err != nil {
			continue // gone since the directory was read
		}
		if q.IncludePattern != "" {
			if ok, err := filepath.Match(q.IncludePattern, de.Name()); err != nil || !ok {
				continue
			}
		}
		out = append(out, statOf(fi))
	}
	return out, nil
}

// decodeConfig reads the config the front end has made.
func decodeConfig[T any](dt []byte) (T, error) {
	var c T
	if err := json.Unmarshal(dt, &c); err != nil {
		return c, fmt.Errorf("decode image config: %w", err)
	}
	return c, nil
}
