package dockerfiles

import (
	"context"
	"path"
	"slices"
	"strings"
)

// maxLooks is how many lookups of files a Dockerfile is worth: stages that copy from each other could ask for more
// than anybody wants to wait for.
const maxLooks = 2000

// presence is what is known of a file of a stage.
type presence int

const (
	absent  presence = iota // no instruction puts it there
	present                 // its content is known
	opaque                  // an instruction puts it there, or may, and its content is not known
)

// origin is what a placement may have made a path of.
type origin struct {
	source  string
	certain bool // the instruction names the very file
}

func hasWildcard(name string) bool { return strings.ContainsAny(name, "*?[") }

// originsOf are the names, at the source of the placement, that would be at the path now.
func (p *placement) originsOf(target string) []origin {
	if p.parents {
		return p.originsWithParents(target)
	}
	below, isBelow := strings.CutPrefix(target, strings.TrimSuffix(p.dest, "/")+"/")
	switch {
	case target == p.dest && !p.into:
		return []origin{{p.source, true}}
	case !isBelow:
		return nil
	case p.kind == sourceHeredoc || p.kind == sourceURL:
		if below == path.Base(p.source) {
			return []origin{{p.source, true}}
		}
		return nil
	case hasWildcard(p.source):
		if match, err := path.Match(path.Base(p.source), below); err != nil || !match {
			return nil
		}
		return []origin{{path.Join(path.Dir(p.source), below), false}}
	}
	return p.originsBelow(below)
}

// originsBelow is originsOf for a path below the destination: of a file in a directory, or of a file by its name.
func (p *placement) originsBelow(below string) []origin {
	var found []origin
	if !isUserFile(p.source) {
		found = append(found, origin{path.Join(p.source, below), false})
	}
	if below == path.Base(p.source) {
		found = append(found, origin{p.source, p.into})
	}
	return found
}

// originsWithParents is originsOf for --parents, which keeps the directories of the source.
func (p *placement) originsWithParents(target string) []origin {
	copied := path.Join(p.dest, p.source)
	if target == copied {
		return []origin{{p.source, true}}
	}
	if below, ok := strings.CutPrefix(target, strings.TrimSuffix(copied, "/")+"/"); ok {
		return []origin{{path.Join(p.source, below), false}}
	}
	return nil
}

// fileOf is a file of a stage.
type fileOf struct {
	stage *stage
	path  string
}

// lookedUp is what a lookup found.
type lookedUp struct {
	content []byte
	found   presence
}

// lookup finds a file of a stage as it is at the stage's end, if COPY or ADD put it there. It is opaque where RUN
// changed it since.
func (b *build) lookup(ctx context.Context, s *stage, target string) ([]byte, presence) {
	key := fileOf{s, target}
	if before, ok := b.lookups[key]; ok {
		return before.content, before.found
	}
	if b.looks++; b.looks > maxLooks {
		return nil, opaque
	}
	content, found := b.lookupInChain(ctx, s, target)
	b.lookups[key] = lookedUp{content, found}
	return content, found
}

func (b *build) lookupInChain(ctx context.Context, s *stage, target string) ([]byte, presence) {
	for at := s; at != nil; at = at.parent {
		for _, e := range slices.Backward(at.events) {
			if e.put == nil {
				if b.changes(&e, target) {
					return nil, opaque
				}
				continue
			}
			if content, found := b.look(ctx, e.put, target); found != absent {
				return content, found
			}
		}
	}
	return nil, absent
}

// look is lookup in one placement.
func (b *build) look(ctx context.Context, p *placement, target string) ([]byte, presence) {
	for _, o := range p.originsOf(target) {
		content, found := b.readOrigin(ctx, p, o.source)
		switch {
		case found != absent:
			return content, found
		case o.certain:
			return nil, opaque
		}
	}
	return nil, absent
}

// readOrigin reads a file where a placement takes it from.
func (b *build) readOrigin(ctx context.Context, p *placement, source string) ([]byte, presence) {
	switch p.kind {
	case sourceHeredoc:
		return p.body, present
	case sourceContext:
		return b.readContext(source)
	case sourceStage:
		other, err := b.follow(ctx, p.stage)
		if err != nil {
			return nil, opaque
		}
		return b.lookup(ctx, other, path.Join("/", source))
	case sourceImage:
		return b.readImage(ctx, p.image, path.Join("/", source))
	case sourceURL:
	}
	return nil, absent
}

func (b *build) readContext(name string) ([]byte, presence) {
	if b.files.dir == "" {
		return nil, absent
	}
	if b.looks++; b.looks > maxLooks {
		return nil, opaque
	}
	if content, ok := b.files.read(name); ok {
		return content, present
	}
	if kind := b.files.kindOf(name); kind == regularFile || kind == otherFile {
		return nil, opaque // too large, or not to be read
	}
	return nil, absent
}

// readImage reads a file of an image, where that costs no transfer.
func (b *build) readImage(ctx context.Context, image, name string) ([]byte, presence) {
	img, err := b.image(ctx, image)
	if err != nil || !img.Local || img.Files == nil {
		return nil, absent
	}
	files, err := img.Files.Read(ctx, name)
	if content, ok := files[name]; ok && err == nil {
		return content, present
	}
	return nil, absent
}
