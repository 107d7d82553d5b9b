package imagesource

import (
	"bytes"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
)

// model is what a set of layers comes to, worked out the slow way: each layer by itself, then one upon the other.
type model map[string]file

// lay puts a layer on top.
func (m model) lay(layer []file) {
	own, deleted, opaque := map[string]file{}, map[string]bool{}, map[string]bool{}
	for _, f := range layer {
		name := strings.TrimSuffix(f.name, "/")
		parent, base := path.Dir(name), path.Base(name)
		switch {
		case base == whiteoutOpaque:
			opaque[parent] = true
			own[parent] = orDir(own, parent)
		case strings.HasPrefix(base, whiteoutPrefix):
			deleted[path.Join(parent, base[len(whiteoutPrefix):])] = true
		default:
			own[name] = f
		}
		for p := parent; p != "."; p = path.Dir(p) {
			own[p] = orDir(own, p)
		}
	}
	for name := range m {
		for p := name; ; p = path.Dir(p) {
			if deleted[p] || p != name && opaque[p] || p != name && isFile(own, p) {
				delete(m, name)
			}
			if p == "." {
				break
			}
		}
	}
	for name, f := range own {
		if old, ok := m[name]; ok && isDirFile(old) && isDirFile(f) && f.mode == impliedMode {
			continue
		}
		m[name] = f
	}
}

// impliedMode marks a directory that has no entry.
const impliedMode = -1

func orDir(own map[string]file, name string) file {
	if f, ok := own[name]; ok {
		return f
	}
	return file{name: name + "/", mode: impliedMode}
}

func isDirFile(f file) bool { return strings.HasSuffix(f.name, "/") }

func isFile(own map[string]file, name string) bool {
	f, ok := own[name]
	return ok && !isDirFile(f)
}

// read follows symbolic links.
func (m model) read(name string, depth int) (string, bool) {
	at := "."
	words := strings.Split(name, "/")
	for i, w := range words {
		switch w {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, w)
		f, ok := m[next]
		rest := strings.Join(words[i+1:], "/")
		switch {
		case !ok:
			return "", false
		case isDirFile(f):
			at = next
		case f.link != "":
			if depth > 20 {
				return "", false
			}
			if !strings.HasPrefix(f.link, "/") {
				return m.read(at+"/"+f.link+"/"+rest, depth+1)
			}
			return m.read(f.link+"/"+rest, depth+1)
		case strings.Trim(rest, "/.") != "":
			return "", false
		default:
			return f.content, true
		}
	}
	return "", false
}

// layersFrom makes layers of a few names out of bytes. Within a layer, no name is a file and a directory at once.
func layersFrom(data []byte) [][]file {
	layers := [][]file{nil}
	own := map[string]file{}
	for len(data) >= 3 && len(layers) < 6 {
		op, a, b := data[0], data[1], data[2]
		data = data[3:]
		name := [...]string{"a", "b", "c", "a/a", "a/b", "b/a", "b/c", "a/a/a", "a/b/c", "c/a", "c/b/a", "b/a/c"}[int(a)%12]
		f := file{name: name, content: string(rune('0'+b%10)) + name}
		switch op % 8 {
		case 0:
			layers, own = append(layers, nil), map[string]file{}
			continue
		case 1:
			f = file{name: name + "/", mode: 0o755 + int64(b%2)}
		case 2:
			f = file{name: name, link: [...]string{"a", "/b", "../c", "a/b", "../../b/a", "/a/a"}[int(b)%6]}
		case 3:
			f = file{name: path.Join(path.Dir(name), whiteoutPrefix+path.Base(name))}
		case 4:
			f = file{name: name + "/" + whiteoutOpaque}
		}
		if fits(own, f) {
			layers[len(layers)-1] = append(layers[len(layers)-1], f)
		}
	}
	return layers
}

// fits reports whether an entry goes with those its layer has already, and notes it.
func fits(own map[string]file, f file) bool {
	name := strings.TrimSuffix(f.name, "/")
	base := path.Base(name)
	parents := []string{}
	for p := path.Dir(name); p != "."; p = path.Dir(p) {
		if isFile(own, p) {
			return false
		}
		parents = append(parents, p)
	}
	if !strings.HasPrefix(base, whiteoutPrefix) {
		if old, ok := own[name]; ok && isDirFile(old) != isDirFile(f) {
			return false
		}
		own[name] = f
	}
	for _, p := range parents {
		own[p] = orDir(own, p)
	}
	return true
}

// FuzzMerge compares what files say of layers with the model.
func FuzzMerge(f *testing.F) {
	f.Add([]byte("\x05\x03\x01\x00\x00\x00\x03\x03\x00"))
	f.Add([]byte("\x05\x03\x01\x02\x02\x01\x00\x00\x00\x04\x00\x00\x00\x00\x00\x05\x07\x02"))
	f.Add([]byte("\x01\x00\x01\x05\x04\x04\x00\x00\x00\x05\x00\x01\x00\x00\x00\x05\x07\x02\x02\x01\x03"))
	f.Fuzz(func(t *testing.T, data []byte) {
		layers := layersFrom(data)
		want := model{}
		for _, l := range layers {
			want.lay(l)
		}
		got, _ := filesOf(t, layers...)
		checkWalk(t, got, want, layers)
		for _, p := range []string{"a", "b", "c", "a/a", "a/b", "b/a", "b/c", "a/a/a", "a/b/c", "c/b/a"} {
			content, ok := want.read(p, 0)
			read, err := got.Read(t.Context(), "/"+p)
			if err != nil {
				continue // too many links, where the model gives up as well
			}
			if data, found := read["/"+p]; found != ok || string(data) != content {
				t.Fatalf("%s: read %q (%v), want %q (%v) of %v", p, data, found, content, ok, layers)
			}
		}
	})
}

func checkWalk(t *testing.T, got *files, want model, layers [][]file) {
	t.Helper()
	type seen struct {
		Mode fs.FileMode
		Size int64
		Link string
	}
	found, wanted := map[string]seen{}, map[string]seen{}
	err := got.Walk(t.Context(), func(f guard.File) error {
		if _, twice := found[f.Path]; twice {
			t.Errorf("%s was visited twice", f.Path)
		}
		found[f.Path] = seen{f.Mode, f.Size, f.Link}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range want {
		if f.mode == impliedMode || name == "." {
			continue
		}
		info := f.header().FileInfo()
		wanted["/"+name] = seen{info.Mode(), info.Size(), f.link}
	}
	if d := gocmp.Diff(wanted, found); d != "" {
		t.Fatalf("%s of %v in %v", d, slices.Sorted(maps.Keys(want)), layers)
	}
}

// FuzzLayer reads any bytes as the layers of an image.
func FuzzLayer(f *testing.F) {
	whole := tarOf(f, file{name: "etc/passwd", content: rootOnly}, file{name: "etc/.wh.group"}, file{name: "p", hard: "etc/passwd"},
		file{name: "etc/group", link: "../p"}, file{name: "x", caps: "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00"})
	f.Add(whole)
	f.Add(whole[:600])
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"))
	f.Add([]byte("\x28\xb5\x2f\xfd\x04\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.HasPrefix(data, []byte("\x1f\x8b")) && len(data) > 64<<10 {
			return // a bomb takes its time, which is tested elsewhere
		}
		l := inMemory(data)
		fs := newFiles([]*layer{&l.layer})
		if got, err := fs.Read(t.Context(), "/etc/passwd", "/etc/group"); err != nil && len(got) > 0 {
			if _, large := err.(*guard.TooLargeError); !large { //nolint:errorlint // nothing wraps it
				t.Errorf("read %v with %v", got, err)
			}
		}
		_ = fs.Walk(t.Context(), func(f guard.File) error {
			if path.Clean(f.Path) != f.Path || f.Path[0] != '/' {
				t.Errorf("visited %q", f.Path)
			}
			return nil
		})
	})
}
