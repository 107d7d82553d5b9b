// Package check finds what arguments are, loads them, asks the rules, applies the policy, and hands out documents
// in order, several at work at once.
//
// Memory does not grow with the number of documents: a document is handed out as soon as those before it are, and
// then forgotten.
package check

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/images"
	"github.com/deckhand-engine/deckhand/guard/policy"
	"github.com/deckhand-engine/deckhand/guard/rules"
)

// notChecked is the rule of documents that cannot be read as what they are.
const notChecked = "DH000"

// ErrUnknownKind says that neither name nor content tell what a text is.
var ErrUnknownKind = errors.New("cannot tell what it is")

// Containers finds containers of a store.
type Containers interface {
	// Container describes a container by name or id; nil where there is none of that name.
	Container(ctx context.Context, name string) (*guard.Subject, error)
}

// Texts reads texts: guard/load's do, which link much that images need none of.
type Texts interface {
	// Kind finds out what a text is; empty: it is nothing that can be checked.
	Kind(src guard.Source) guard.Kind
	// Load reads the subjects of a text of one of the [TextKinds].
	Load(ctx context.Context, src guard.Source, kind guard.Kind, env guard.Env) ([]*guard.Subject, error)
}

// Checker checks documents. It may be used by several goroutines.
type Checker struct {
	Env        guard.Env
	Policy     *policy.Policy // nil: the default
	Texts      Texts          // nil: no text is anything that can be checked
	Containers Containers     // nil: none
	// List expands an argument that stands for many images, as a whole registry does; nil: none does. ok is false
	// where name is no such argument.
	List func(ctx context.Context, name string) (names []string, ok bool, err error)
}

// Text checks a text whose kind is found out by its name and content, or is kind where that is not empty. A text that
// neither is of the kind nor holds anything of it is not checked: it is something else.
func (c *Checker) Text(ctx context.Context, src guard.Source, kind guard.Kind) *guard.Document {
	said := kind
	if kind == "" {
		kind = c.kindOf(src)
	}
	doc := &guard.Document{Path: src.Path, Kind: kind, Source: src.Data}
	subjects, err := c.load(ctx, src, kind)
	var syntax *guard.SyntaxError
	switch {
	case errors.As(err, &syntax):
		doc.Findings = append(doc.Findings, c.syntaxFinding(src, syntax))
	case err != nil:
		doc.Err = err
		return doc
	case said != "" && len(subjects) == 0 && c.kindOf(src) != said:
		doc.Err = fmt.Errorf("there is nothing in it of the kind %s", said)
		return doc
	}
	return c.judge(doc, subjects)
}

// load reads the subjects of a text.
func (c *Checker) load(ctx context.Context, src guard.Source, kind guard.Kind) ([]*guard.Subject, error) {
	if c.Texts == nil || kind == "" {
		return nil, ErrUnknownKind
	}
	return c.Texts.Load(ctx, src, kind, c.Env)
}

// syntaxFinding tells of a text that cannot be read. A Helm template is YAML only once Helm has rendered it.
func (c *Checker) syntaxFinding(src guard.Source, e *guard.SyntaxError) guard.Finding {
	f := guard.Finding{
		Rule: notChecked, Severity: guard.Error, Message: e.Text,
		Where: guard.Location{Path: src.Path, Line: max(e.Line, 1)},
	}
	if c.isTemplate(src) {
		f.Severity = guard.Info
		f.Hint = "check what Helm makes of it:  helm template CHART | deckhand check -"
	}
	return f
}

// Image checks an image, wherever it is.
func (c *Checker) Image(ctx context.Context, name string) *guard.Document {
	doc := &guard.Document{Path: name, Kind: guard.KindImage}
	if c.Env.Images == nil {
		doc.Err = fmt.Errorf("image %s: no place to look for images", name)
		return doc
	}
	img, err := c.Env.Images.Image(ctx, name)
	if err != nil {
		doc.Err = err
		return doc
	}
	s, err := images.Subject(ctx, name, img)
	doc.Err = err // what the config says is known even where the layers cannot be read
	if s == nil {
		return doc
	}
	return c.judge(doc, []*guard.Subject{s})
}

// container checks a container that was found.
func (c *Checker) container(name string, s *guard.Subject) *guard.Document {
	return c.judge(&guard.Document{Path: name, Kind: guard.KindContainer}, []*guard.Subject{s})
}

// judge asks the rules about the subjects, and the policy about what they find.
func (c *Checker) judge(doc *guard.Document, subjects []*guard.Subject) *guard.Document {
	p := c.Policy
	if p == nil {
		p = &policy.Policy{}
	}
	doc.Subjects = subjects
	for _, s := range subjects {
		doc.Findings = append(doc.Findings, rules.Check(s, p.Settings)...)
	}
	slices.SortStableFunc(doc.Findings, guard.CompareFindings)
	doc.Findings = slices.CompactFunc(doc.Findings, same)
	p.Judge(doc)
	return doc
}

// same reports whether two findings say the same of the same place, as those of two stages that share lines do.
func same(a, b guard.Finding) bool {
	return a.Rule == b.Rule && a.Where == b.Where && a.Message == b.Message
}
