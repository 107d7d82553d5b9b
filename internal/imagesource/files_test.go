package imagesource

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/deckhand-engine/deckhand/guard"
	archive "github.com/deckhand-engine/deckhand/internal/layer"
)

func TestRead(t *testing.T) {
	base := []file{{name: "etc/"}, {name: "etc/passwd", content: rootOnly}, {name: "etc/group", content: "root:x:0:\n"}}
	for name, tc := range map[string]struct {
		layers [][]file // bottom first
		path   string
		want   string
		opened []int // how often each layer was; nil: it does not matter
	}{
		"one layer":        {[][]file{base}, "/etc/passwd", rootOnly, []int{1}},
		"missing":          {[][]file{base, {{name: "x"}}}, "/etc/shadow", "", []int{1, 1}},
		"topmost counts":   {[][]file{base, {{name: "etc/passwd", content: withApp}}}, "/etc/passwd", withApp, []int{0, 1}},
		"further down":     {[][]file{base, {{name: "etc/hosts"}}, {{name: "srv/"}}}, "/etc/passwd", rootOnly, []int{1, 1, 1}},
		"last of a name":   {[][]file{{{name: "a", content: "1"}, {name: "a", content: "2"}}}, "/a", "2", nil},
		"dot names":        {[][]file{{{name: "./etc/passwd", content: rootOnly}}}, "/etc/passwd", rootOnly, nil},
		"deleted":          {[][]file{base, {{name: "etc/.wh.passwd"}}}, "/etc/passwd", "", []int{0, 1}},
		"deleted and new":  {[][]file{base, {{name: "etc/.wh.passwd"}}, {{name: "etc/passwd", content: withApp}}}, "/etc/passwd", withApp, []int{0, 0, 1}},
		"deleted beside":   {[][]file{base, {{name: "etc/passwd", content: withApp}, {name: "etc/.wh.passwd"}}}, "/etc/passwd", withApp, []int{0, 1}},
		"deleted below":    {[][]file{{{name: "etc/passwd", content: withApp}, {name: "etc/.wh.passwd"}}}, "/etc/passwd", withApp, nil},
		"directory gone":   {[][]file{base, {{name: ".wh.etc"}}}, "/etc/passwd", "", []int{0, 1}},
		"directory anew":   {[][]file{base, {{name: ".wh.etc"}, {name: "etc/x"}}}, "/etc/passwd", "", []int{0, 1}},
		"opaque":           {[][]file{base, {{name: "etc/"}, {name: "etc/.wh..wh..opq"}, {name: "etc/group", content: "x"}}}, "/etc/passwd", "", []int{0, 1}},
		"opaque, itself":   {[][]file{base, {{name: "etc/.wh..wh..opq"}, {name: "etc/group", content: "x"}}}, "/etc/group", "x", []int{0, 1}},
		"opaque root":      {[][]file{base, {{name: ".wh..wh..opq"}, {name: "x"}}}, "/etc/passwd", "", []int{0, 1}},
		"replaced by file": {[][]file{base, {{name: "etc", content: "x"}}}, "/etc/passwd", "", []int{0, 1}},
		"and a directory":  {[][]file{base, {{name: "etc", content: "x"}}, {{name: "etc/x"}}}, "/etc/passwd", "", []int{0, 1, 1}},
		"symlink":          {[][]file{{{name: "etc/passwd", link: "/usr/etc/passwd"}, {name: "usr/etc/passwd", content: withApp}}}, "/etc/passwd", withApp, nil},
		"symlink up": {
			[][]file{{{name: "etc/passwd", link: "../usr/etc/passwd"}}, {{name: "usr/etc/passwd", content: withApp}}},
			"/etc/passwd", withApp,
			[]int{1, 2}, // the upper layer again, for a name that nobody asked for at first
		},
		"symlink down":      {[][]file{{{name: "usr/etc/passwd", content: withApp}}, {{name: "etc/passwd", link: "../usr/etc/passwd"}}}, "/etc/passwd", withApp, []int{1, 1}},
		"symlinked parent":  {[][]file{{{name: "usr/lib/x", content: "x"}}, {{name: "lib", link: "usr/lib"}}}, "/lib/x", "x", []int{1, 1}},
		"beyond the root":   {[][]file{{{name: "etc/passwd", link: "../../../../../p"}, {name: "p", content: withApp}}}, "/etc/passwd", withApp, nil},
		"dangling":          {[][]file{{{name: "etc/passwd", link: "nowhere"}}}, "/etc/passwd", "", nil},
		"below a file":      {[][]file{{{name: "a", content: "x"}}}, "/a/b", "", nil},
		"hard link":         {[][]file{{{name: "p", content: withApp}, {name: "etc/passwd", hard: "p"}}}, "/etc/passwd", withApp, []int{2}},
		"hard link of two":  {[][]file{{{name: "p", content: withApp}, {name: "q", hard: "p"}, {name: "r", hard: "/q"}}}, "/r", withApp, nil},
		"hard link's other": {[][]file{{{name: "p", content: withApp}, {name: "q", hard: "p"}}, {{name: "p", content: "other"}}}, "/q", withApp, nil},
		"hard links circle": {[][]file{{{name: "p", hard: "q"}, {name: "q", hard: "p"}}}, "/p", "", nil},
		"a directory":       {[][]file{base}, "/etc", "", nil},
		"a device":          {[][]file{{{name: "etc/passwd", special: true}}}, "/etc/passwd", "", nil},
		"aufs bookkeeping":  {[][]file{base, {{name: ".wh..wh.plnk/"}, {name: "etc/.wh..wh.aufs"}}}, "/etc/passwd", rootOnly, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f, layers := filesOf(t, tc.layers...)
			if got := read(t, f, tc.path); got != tc.want {
				t.Errorf("read %q, want %q", got, tc.want)
			}
			for i, want := range tc.opened {
				if layers[i].opened != want {
					t.Errorf("layer %d was opened %d times, want %d", i, layers[i].opened, want)
				}
			}
			opened := layers[0].opened
			if read(t, f, tc.path); layers[0].opened != opened {
				t.Error("a second reading opened a layer again")
			}
		})
	}
}

func TestReadSeveral(t *testing.T) {
	f, layers := filesOf(t,
		[]file{{name: "etc/passwd", content: rootOnly}, {name: "etc/group", content: "root:x:0:\n"}},
		[]file{{name: "etc/passwd", content: withApp}})
	got, err := f.Read(t.Context(), "/etc/passwd", "/etc/group", "/etc/shadow")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]byte{"/etc/passwd": []byte(withApp), "/etc/group": []byte("root:x:0:\n")}
	if d := gocmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if layers[0].opened != 1 || layers[1].opened != 1 {
		t.Errorf("layers were opened %d and %d times", layers[0].opened, layers[1].opened)
	}
}

func TestReadRefuses(t *testing.T) {
	big := strings.Repeat("root:x:0:0::/:/bin/sh\n", 100_000)
	chain := []file{{name: "etc/passwd", link: "l0"}}
	for i := range 50 {
		chain = append(chain, file{name: fmt.Sprintf("etc/l%d", i), link: fmt.Sprintf("l%d", i+1)})
	}
	whole := tarOf(t, file{name: "etc/passwd", content: rootOnly})
	for name, tc := range map[string]struct {
		layer []byte
		want  string
		is    error
	}{
		"endless symlinks": {tarOf(t, file{name: "etc/passwd", link: "passwd"}), "symbolic links", errLinks},
		"growing symlinks": {tarOf(t, file{name: "etc", link: strings.Repeat("etc/", 1000)}), "symbolic links", errLinks},
		"a long chain":     {tarOf(t, chain...), "symbolic links", errLinks},
		"traversal":        {tarOf(t, file{name: "../etc/passwd", content: "x"}), "outside", archive.ErrEscapes},
		"hard traversal":   {tarOf(t, file{name: "etc/passwd", hard: "../../etc/passwd"}), "outside", archive.ErrEscapes},
		"whiteout of all":  {tarOf(t, file{name: "etc/.wh..."}), "whiteout of nothing", archive.ErrMalformed},
		"a file as root":   {tarOf(t, file{name: "."}), "root is no directory", archive.ErrMalformed},
		"truncated":        {whole[:520], "truncated", archive.ErrTruncated},
		"no tar":           {bytes.Repeat([]byte("no tar "), 500), "not a tar", archive.ErrNotTar},
		"xz":               {[]byte("\xfd7zXZ\x00 and so on"), "compressed with xz", nil},
		"broken gzip":      {[]byte("\x1f\x8b\x08 and so on"), "", archive.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			l := inMemory(tc.layer)
			got, err := newFiles([]*layer{&l.layer}).Read(t.Context(), "/etc/passwd")
			if err == nil || !strings.Contains(err.Error(), tc.want) || tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("read %q, %v", got, err)
			}
		})
	}
	t.Run("large", func(t *testing.T) {
		f, _ := filesOf(t, []file{{name: "etc/passwd", content: big}, {name: "etc/group", content: "x"}})
		got, err := f.Read(t.Context(), "/etc/passwd", "/etc/group")
		large, ok := errors.AsType[*guard.TooLargeError](err)
		if !ok || !slices.Equal(large.Paths, []string{"/etc/passwd"}) || string(got["/etc/group"]) != "x" || got["/etc/passwd"] != nil {
			t.Errorf("read %q, %v", got["/etc/group"], err)
		}
	})
	t.Run("another content", func(t *testing.T) {
		wanted := digest.FromBytes(whole)
		l := &layer{name: "layer x", open: func(context.Context) (io.ReadCloser, error) {
			return verify(io.NopCloser(bytes.NewReader(tarOf(t, file{name: "etc/passwd", content: withApp}))), wanted)
		}}
		if got, err := newFiles([]*layer{l}).Read(t.Context(), "/etc/passwd"); err == nil || !strings.Contains(err.Error(), "it is damaged") {
			t.Errorf("read %q, %v", got, err)
		}
		l = &layer{name: "layer x", check: true, diffID: wanted, open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(tarOf(t, file{name: "etc/passwd", content: withApp}))), nil
		}}
		if got, err := newFiles([]*layer{l}).Read(t.Context(), "/etc/passwd"); err == nil || !strings.Contains(err.Error(), "its content is not that of") {
			t.Errorf("read %q, %v", got, err)
		}
	})
}

func TestWalk(t *testing.T) {
	const netRaw = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	f, _ := filesOf(t,
		[]file{
			{name: "bin/", mode: 0o755},
			{name: "bin/su", content: "su", mode: 0o4755},
			{name: "bin/ping", mode: 0o755, caps: netRaw},
			{name: "bin/sh", content: "sh", mode: 0o755},
			{name: "bin/old", mode: 0o4755},
			{name: "bin/new", hard: "bin/old"},
			{name: "tmp/", mode: 0o1777},
			{name: "opt/gone/x"},
			{name: "opt/kept"},
			{name: "dev/null", special: true},
		},
		[]file{
			{name: "bin/", mode: 0o775, uid: 7},
			{name: "bin/sh", content: "other", mode: 0o700, uid: 1000},
			{name: "bin/.wh.old"},
			{name: "opt/.wh.gone"},
			{name: "lib", link: "usr/lib"},
			{name: "twice", content: "1"},
			{name: "twice", content: "22"},
		},
	)
	var got []guard.File
	if err := f.Walk(t.Context(), func(f guard.File) error { got = append(got, f); return nil }); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b guard.File) int { return cmp.Compare(a.Path, b.Path) })
	want := []guard.File{
		{Path: "/bin", Mode: fs.ModeDir | 0o775, UID: 7, GID: 7},
		{Path: "/bin/new", Mode: fs.ModeSetuid | 0o755}, // what is deleted under one name lives on under the other
		{Path: "/bin/ping", Mode: 0o755, Capabilities: "cap_net_raw"},
		{Path: "/bin/sh", Mode: 0o700, UID: 1000, GID: 1000, Size: 5},
		{Path: "/bin/su", Mode: fs.ModeSetuid | 0o755, Size: 2},
		{Path: "/lib", Mode: fs.ModeSymlink | 0o777, Link: "usr/lib"},
		{Path: "/opt/kept", Mode: 0o644},
		{Path: "/tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777},
		{Path: "/twice", Mode: 0o644, Size: 2},
	}
	if d := gocmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	stop := errors.New("stop")
	if err := f.Walk(t.Context(), func(guard.File) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("stopped: %v", err)
	}
}

func TestCapabilities(t *testing.T) {
	for name, tc := range map[string]struct{ value, want string }{
		"none":       {"", ""},
		"short":      {"\x01\x00\x00\x02", ""},
		"revision 1": {"\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00\x00\x00", "cap_chown"},
		"revision 2": {"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00", "cap_net_bind_service,cap_bpf"},
		"revision 3": {"\x01\x00\x00\x03\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xe8\x03\x00\x00", "cap_net_raw"},
		"inherited":  {"\x00\x00\x00\x02\x00\x00\x00\x00\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", ""},
		"unknown":    {"\x00\x00\x00\x09\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := capabilities(tc.value); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
