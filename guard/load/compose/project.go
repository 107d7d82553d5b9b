package compose

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/sirupsen/logrus"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/yamltree"
)

// quiet keeps compose-go from writing its warnings to standard error; it knows no other way.
var quiet = sync.OnceFunc(func() { logrus.SetOutput(io.Discard) })

// project is the file as compose-go understands it.
func (f *file) project(ctx context.Context) (project *types.Project, err error) {
	if err := f.bounded(); err != nil {
		return nil, err
	}
	quiet()
	defer func() {
		if fault := recover(); fault != nil { // compose-go trusts the types of values that it has not validated yet
			project, err = nil, &guard.SyntaxError{Line: 1, Text: fmt.Sprintf("compose cannot read it: %v", fault)}
		}
	}()
	details := types.ConfigDetails{
		WorkingDir:  f.dir,
		Environment: maps.Clone(types.Mapping(f.environment)),
		ConfigFiles: []types.ConfigFile{{Filename: cmp.Or(f.src.File, "compose.yaml"), Content: f.src.Data}},
	}
	project, err = loader.LoadWithContext(ctx, details, f.options)
	if err != nil {
		return nil, f.refusal(err)
	}
	return project, nil
}

func (f *file) options(o *loader.Options) {
	o.SkipNormalization = true      // defaults are ours to know
	o.SkipConsistencyCheck = true   // a file may add to another one
	o.SkipResolveEnvironment = true // env_file
	o.SkipResolveLabels = true
	o.ResolvePaths = false // ~ is not the same for everybody
	o.Profiles = []string{"*"}
	o.Interpolate.Substitute = substitute
	o.ResourceLoaders = []loader.ResourceLoader{&refused{known: f.dir != "", dirs: []string{f.dir}}}
	o.SetProjectName(cmp.Or(loader.NormalizeProjectName(filepath.Base(f.dir)), "project"), false)
}

// refused are the resources that are not read: remote ones, what is no file, and any where nobody knows where the
// file itself is.
type refused struct {
	known bool
	dirs  []string // that paths may be relative to: the file's, and those of the files that it includes
}

// Accept reports whether the resource is refused.
func (r *refused) Accept(path string) bool { return r.why(path) != nil }

// Load says why.
func (r *refused) Load(_ context.Context, path string) (string, error) { return "", r.why(path) }

// Dir is never asked for: nothing was loaded.
func (*refused) Dir(string) string { return "" }

func (r *refused) why(path string) error {
	switch {
	case remote(path):
		return fmt.Errorf("%s is not on this machine, and is not fetched", path)
	case !r.known:
		return fmt.Errorf("%s is another file, and it is not known where this one is", path)
	case filepath.IsAbs(path):
		return readable(path)
	}
	for _, dir := range r.dirs {
		file := filepath.Join(dir, path)
		switch err := readable(file); {
		case errors.Is(err, fs.ErrNotExist): // compose-go says so, where it is really meant
		case err != nil:
			return err
		case !slices.Contains(r.dirs, filepath.Dir(file)):
			r.dirs = append(r.dirs, filepath.Dir(file))
		}
	}
	return r.environment()
}

// environment says why a .env file, which compose-go reads beside a file that is included, is not read.
func (r *refused) environment() error {
	for _, dir := range r.dirs {
		if err := readable(filepath.Join(dir, ".env")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// remote reports whether a path is a reference to a git repository, an artifact or a URL.
func remote(path string) bool {
	for _, prefix := range []string{"git@", "github.com/", "oci:"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return strings.Contains(path, "://")
}

// maxPorts bounds the ports of all services.
const maxPorts = 1 << 17

// bounded refuses files that ask for more ports than there are, some times over: compose-go makes a value of each.
func (f *file) bounded() error {
	count := 0
	for _, section := range []string{"services", "jobs"} {
		for _, document := range f.documents {
			for name := range document.Get(section).Pairs() {
				c := container{chain: f.chain(section, name)}
				for _, item := range append(c.list("ports"), c.list("expose")...) {
					if count += f.width(item); count > maxPorts {
						return &guard.SyntaxError{Line: item.Line(), Text: "too many ports"}
					}
				}
			}
		}
	}
	return nil
}

// width is how many ports an item of ports is, or more.
func (f *file) width(item yamltree.Node) int {
	text := f.environment.expand(item.Text())
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		text = text[i+1:]
	}
	text, _, _ = strings.Cut(text, "/")
	first, last, ok := portRange(text)
	if !ok {
		return 1
	}
	return last - first + 1
}
