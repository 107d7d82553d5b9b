package harden_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"

	"github.com/deckhand-engine/deckhand/dockerfile"
	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/harden"
)

// image is one that the simulated lab built.
type image struct {
	files  rootfs
	config dockerspec.DockerOCIImageConfig
}

// Build carries out the instructions that repairs are written as, and a few that tests begin with.
func (l *lab) Build(ctx context.Context, text []byte) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	l.builds++
	file, err := dockerfile.Parse(text)
	if err != nil {
		return "", err
	}
	b := &builder{lab: l, user: "0", image: &image{files: l.base.below("/")}}
	for _, in := range file.Stages[len(file.Stages)-1].Instructions {
		if err := b.instruction(&in); err != nil {
			return "", &harden.BuildError{Output: in.Text, Err: err}
		}
	}
	sum := sha256.Sum256(text)
	id := "sha256:" + hex.EncodeToString(sum[:])
	l.images[id] = b.image
	return id, nil
}

// Image is what a build came to.
func (l *lab) Image(_ context.Context, id string) (*guard.Image, error) {
	img := l.images[id]
	if img == nil {
		return nil, fmt.Errorf("no image %s", id)
	}
	return &guard.Image{Config: dockerspec.DockerOCIImage{Config: img.config}, Files: img.files}, nil
}

// builder carries out the last stage of a Dockerfile.
type builder struct {
	lab *lab
	*image
	user string
}

func (b *builder) instruction(in *dockerfile.Instruction) error {
	c := &b.config
	switch in.Keyword {
	case "USER":
		b.user, c.User = in.Args[0], in.Args[0]
	case "ENV":
		for _, p := range in.Pairs {
			c.Env = append(c.Env, p.Name+"="+strings.Trim(p.Value, `"`))
		}
	case "WORKDIR":
		b.files.mkdirAll(in.Args[0])
		c.WorkingDir = in.Args[0]
	case "VOLUME":
		c.Volumes = with(c.Volumes, in.Args)
	case "EXPOSE":
		c.ExposedPorts = with(c.ExposedPorts, in.Args)
	case "ENTRYPOINT":
		c.Entrypoint, c.Cmd = in.Args, nil
	case "CMD":
		c.Cmd = in.Args
	case "HEALTHCHECK":
		c.Healthcheck = &dockerspec.HealthcheckConfig{Test: append([]string{"CMD-SHELL"}, in.Args[1:]...)}
	case "COPY":
		return b.copy(in)
	case "RUN":
		return b.run(in.Args[len(in.Args)-1])
	default:
		return fmt.Errorf("%s is not simulated", in.Keyword)
	}
	return nil
}

func with(set map[string]struct{}, names []string) map[string]struct{} {
	out := map[string]struct{}{}
	maps.Copy(out, set)
	for _, name := range names {
		out[name] = struct{}{}
	}
	return out
}

// copy makes a directory out of an empty stage, or a file out of the Dockerfile.
func (b *builder) copy(in *dockerfile.Instruction) error {
	name := path.Clean(in.Args[len(in.Args)-1])
	if len(in.Heredocs) > 0 {
		b.files.add(name, &node{mode: 0o644, content: in.Heredocs[0].Body()})
		return nil
	}
	owner, _ := in.Flag("chown")
	b.files.mkdirAll(name)
	return b.chown(owner, name, false)
}

// run runs a command as /bin/sh does.
func (b *builder) run(command string) error {
	if b.files["/bin/sh"] == nil {
		return errors.New("/bin/sh: no such file")
	}
	file, err := syntax.NewParser().Parse(strings.NewReader(command), "")
	if err != nil {
		return err
	}
	for _, s := range file.Stmts {
		if err := b.statement(s); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) statement(s *syntax.Stmt) error {
	if both, ok := s.Cmd.(*syntax.BinaryCmd); ok && both.Op == syntax.AndStmt {
		if err := b.statement(both.X); err != nil {
			return err
		}
		return b.statement(both.Y)
	}
	call, ok := s.Cmd.(*syntax.CallExpr)
	if !ok {
		return fmt.Errorf("%T is not simulated", s.Cmd)
	}
	argv, err := expand.Fields(&expand.Config{}, call.Args...)
	if err != nil {
		return err
	}
	if b.user != "0" && b.user != "root" && !strings.HasPrefix(b.user, "0:") {
		return fmt.Errorf("%s: permission denied", argv[0])
	}
	if slices.Contains(b.lab.lacks, argv[0]) {
		return fmt.Errorf("%s: not found", argv[0])
	}
	if len(s.Redirs) > 0 {
		return b.echo(argv, s.Redirs[0])
	}
	return b.command(argv)
}

// echo appends a line to a file.
func (b *builder) echo(argv []string, to *syntax.Redirect) error {
	name, err := expand.Literal(&expand.Config{}, to.Word)
	if err != nil || argv[0] != "echo" || to.Op != syntax.AppOut {
		return fmt.Errorf("%v to %s is not simulated", argv, name)
	}
	if b.files[name] == nil {
		b.files.add(name, &node{mode: 0o644})
	}
	b.files[name].content += argv[1] + "\n"
	return nil
}

func (b *builder) command(argv []string) error {
	program, rest := argv[0], argv[1:]
	flag := ""
	if strings.HasPrefix(rest[0], "-") {
		flag, rest = rest[0], rest[1:]
	}
	switch program {
	case "mkdir":
		b.files.mkdirAll(rest[0])
	case "chown":
		return b.chown(rest[0], rest[1], flag == "-R")
	case "chmod":
		return b.chmod(rest[0], rest[1], flag == "-R")
	case "sed":
		return b.sed(rest[0], rest[1])
	case "cp": // it keeps no extended attributes
		from := *b.files[rest[0]]
		from.caps = ""
		b.files.add(rest[1], &from)
	case "mv":
		b.files.add(rest[1], b.files[rest[0]])
		delete(b.files, rest[0])
	default:
		return fmt.Errorf("%s: not found", program)
	}
	return nil
}

// each does something to a file, or to all of a directory.
func (b *builder) each(name string, recursive bool, do func(*node)) error {
	if b.files[name] == nil {
		return fmt.Errorf("%s: no such file or directory", name)
	}
	do(b.files[name])
	for other, n := range b.files {
		if recursive && within(other, name) {
			do(n)
		}
	}
	return nil
}

func (b *builder) chown(owner, name string, recursive bool) error {
	var uid, gid uint32
	if _, err := fmt.Sscanf(owner, "%d:%d", &uid, &gid); err != nil {
		return fmt.Errorf("chown %q: %w", owner, err)
	}
	return b.each(name, recursive, func(n *node) { n.uid, n.gid = uid, gid })
}

func (b *builder) chmod(mode, name string, recursive bool) error {
	if mode != "o+rX" {
		return fmt.Errorf("chmod %s is not simulated", mode)
	}
	return b.each(name, recursive, func(n *node) {
		n.mode |= 4
		if n.mode.IsDir() || n.mode&0o111 != 0 {
			n.mode |= 1
		}
	})
}

// sed changes a whole line, or takes it out: "s/^old$/new/", "/^old$/d".
func (b *builder) sed(script, name string) error {
	f := b.files[name]
	if f == nil {
		return fmt.Errorf("sed: %s: no such file", name)
	}
	mark := strings.TrimLeft(script, `s\`)[:1]
	var parts []string
	word := ""
	for i := strings.Index(script, mark) + 1; i < len(script); i++ {
		switch {
		case script[i] == '\\':
			i++
			word += script[i : i+1]
		case script[i:i+1] == mark:
			parts, word = append(parts, word), ""
		default:
			word += script[i : i+1]
		}
	}
	old := strings.TrimSuffix(strings.TrimPrefix(parts[0], "^"), "$")
	var out strings.Builder
	for line := range strings.Lines(f.content) {
		switch {
		case strings.TrimSuffix(line, "\n") != old:
			out.WriteString(line)
		case len(parts) > 1:
			out.WriteString(parts[1] + "\n")
		}
	}
	f.content = out.String()
	return nil
}
