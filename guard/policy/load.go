package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/yamltree"
	"github.com/deckhand-engine/deckhand/guard/rules"
)

// Kubernetes' Pod Security levels.
const (
	privileged = "privileged"
	baseline   = "baseline"
	restricted = "restricted"
)

// maxPolicyBytes bounds a policy file.
const maxPolicyBytes = 1 << 20

// Options are what reading a policy needs to know.
type Options struct {
	Rules []rules.Rule     // that may be named; nil: all
	Now   func() time.Time // the clock that "until" goes by; nil: ignores hold for ever
}

// New is the policy of whoever has no file, with these options.
func New(o Options) *Policy { return &Policy{rules: o.Rules, now: o.Now} }

// Load reads a policy file. Its errors, one a line, say where something is wrong and what to write instead.
func Load(file string, o Options) (*Policy, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(f, maxPolicyBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read policy: %w", err)
	case len(data) > maxPolicyBytes:
		return nil, fmt.Errorf("read policy %s: it has more than %d KiB", file, maxPolicyBytes>>10)
	}
	return Parse(file, data, o)
}

// Parse reads a policy as [Load] does. Paths in it are relative to the directory of file.
func Parse(file string, data []byte, o Options) (*Policy, error) {
	p := New(o)
	p.Path = file
	abs, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	p.Dir = abs
	var document, next yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF) || err == nil && len(document.Content) == 0:
		return nil, fmt.Errorf("%s:1: the policy is empty: write version: 1", file)
	case err != nil:
		return nil, syntaxError(file, data, err)
	}
	r := &reader{file: file, policy: p}
	r.top(document.Content[0])
	switch err := decoder.Decode(&next); {
	case err == nil:
		r.fail(&next, "a policy is one document: take out what follows ---")
	case !errors.Is(err, io.EOF):
		return nil, syntaxError(file, data, err)
	}
	if len(r.errs) > 0 {
		return nil, errors.Join(r.errs...)
	}
	return p, nil
}

// syntaxError puts the line where the text goes wrong in front. The library tells it in words only, which
// yamltree understands.
func syntaxError(file string, data []byte, err error) error {
	_, located := yamltree.Parse(file, data, yamltree.Options{})
	if e, ok := errors.AsType[*guard.SyntaxError](located); ok {
		return fmt.Errorf("%s:%d: %s", file, e.Line, e.Text)
	}
	return fmt.Errorf("%s: %w", file, err)
}

// reader reads the nodes of a policy and collects what is wrong with it.
type reader struct {
	file   string
	policy *Policy
	errs   []error
}

// field is a key of a mapping.
type field struct {
	name string
	read func(*yaml.Node)
}

func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("%s:%d: %s", r.file, n.Line, fmt.Sprintf(format, args...)))
}

// mapping reads the keys of a mapping called what, each at most once.
func (r *reader) mapping(n *yaml.Node, what string, fields []field) map[string]*yaml.Node {
	seen := map[string]*yaml.Node{}
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s is no mapping: write its keys below it, as in %s: …", what, fields[0].name)
		return seen
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], resolve(n.Content[i+1])
		if before := seen[key.Value]; before != nil {
			r.fail(key, "%s is there twice in %s: it is on line %d as well", key.Value, what, before.Line)
			continue
		}
		seen[key.Value] = key
		if !readField(fields, key.Value, value) {
			r.fail(key, "unknown key %s in %s: %s", key.Value, what, suggest(key.Value, fieldNames(fields)))
		}
	}
	return seen
}

func readField(fields []field, name string, value *yaml.Node) bool {
	for _, f := range fields {
		if f.name == name {
			f.read(value)
			return true
		}
	}
	return false
}

func fieldNames(fields []field) []string {
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
	}
	return names
}

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

// text reads a scalar that is not empty.
func (r *reader) text(n *yaml.Node, what, example string) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || strings.TrimSpace(n.Value) == "" {
		r.fail(n, "%s: write a value, as in %s", what, example)
		return "", false
	}
	return strings.TrimSpace(n.Value), true
}

// texts reads a list of scalars.
func (r *reader) texts(n *yaml.Node, what, example string, add func(*yaml.Node, string)) {
	if n.Kind != yaml.SequenceNode {
		r.fail(n, "%s is a list: write %s", what, example)
		return
	}
	for _, item := range n.Content {
		item = resolve(item)
		if s, ok := r.text(item, what, example); ok {
			add(item, s)
		}
	}
}

func (r *reader) top(n *yaml.Node) {
	seen := r.mapping(n, "the policy", []field{
		{"version", r.version},
		{"check", func(n *yaml.Node) { r.check(n) }},
	})
	if n.Kind == yaml.MappingNode && seen["version"] == nil {
		r.fail(n, "there is no version: write version: 1")
	}
}

func (r *reader) version(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode || n.Value != "1" {
		r.fail(n, "this version is not known: write version: 1")
	}
}

func (r *reader) check(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" { // "check:" with nothing below
		return
	}
	r.mapping(n, "check", []field{
		{"least-uid", r.leastUID},
		{"fail-on", r.failOn},
		{"rules", r.severities},
		{"ignore", r.ignores},
		{"exclude", func(n *yaml.Node) {
			r.texts(n, "exclude", `["vendor/**"]`, func(n *yaml.Node, s string) {
				r.policy.exclude = append(r.policy.exclude, r.pattern(n, s)...)
			})
		}},
		{"pod-security", r.podSecurity},
		{"baseline", r.baseline},
	})
}

func (r *reader) leastUID(n *yaml.Node) {
	uid, err := strconv.ParseUint(n.Value, 10, 31)
	if n.Kind != yaml.ScalarNode || err != nil || uid == 0 {
		r.fail(n, "least-uid is no uid: write a number from 1 to %d, as in least-uid: 500", guard.MaxID)
		return
	}
	r.policy.Settings.LeastUID = uint32(uid)
}

func (r *reader) failOn(n *yaml.Node) {
	s, err := guard.ParseSeverity(n.Value)
	switch {
	case n.Kind != yaml.ScalarNode || err != nil:
		r.fail(n, "fail-on is no severity: %s", suggest(n.Value, severityNames()))
	case s == guard.Off:
		r.policy.FailOn = Never
	default:
		r.policy.FailOn = s
	}
}

func severityNames() []string {
	return []string{guard.Off.String(), guard.Info.String(), guard.Warning.String(), guard.Error.String()}
}

func (r *reader) podSecurity(n *yaml.Node) {
	switch n.Value {
	case privileged, baseline, restricted:
		r.policy.PodSecurity = n.Value
	default:
		r.fail(n, "pod-security is no level: %s", suggest(n.Value, []string{restricted, baseline, privileged}))
	}
}

func (r *reader) baseline(n *yaml.Node) {
	s, ok := r.text(n, "baseline", "baseline: deckhand-baseline.json")
	if !ok {
		return
	}
	if !filepath.IsAbs(s) {
		s = filepath.Join(r.policy.Dir, filepath.FromSlash(s))
	}
	r.policy.BaselineFile = s
}

// severities reads "rules".
func (r *reader) severities(n *yaml.Node) {
	const example = "rules: {DH017: off, writable-code: info}"
	if n.Kind != yaml.MappingNode {
		r.fail(n, "rules is no mapping: write each rule with a severity, as in %s", example)
		return
	}
	r.policy.severities = map[string]guard.Severity{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], resolve(n.Content[i+1])
		id, ok := r.rule(key, key.Value)
		if !ok {
			continue
		}
		if _, twice := r.policy.severities[id]; twice {
			r.fail(key, "%s is there twice in rules: a rule has one severity", id)
			continue
		}
		s, err := guard.ParseSeverity(value.Value)
		if value.Kind != yaml.ScalarNode || err != nil {
			r.fail(value, "%s has no severity: %s", key.Value, suggest(value.Value, severityNames()))
			continue
		}
		r.policy.severities[id] = s
	}
}

// rule finds a rule by id or name.
func (r *reader) rule(n *yaml.Node, name string) (string, bool) {
	id := ruleID(r.policy.all(), name)
	if id == "" {
		r.fail(n, "there is no rule %s: %s", name, suggestRule(r.policy.all(), name))
	}
	return id, id != ""
}

// pattern reads a path pattern; nil where it is wrong.
func (r *reader) pattern(n *yaml.Node, s string) []pattern {
	g, err := parsePattern(s)
	if err != nil {
		r.fail(n, "%v", err)
		return nil
	}
	return []pattern{g}
}

func (r *reader) ignores(n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		r.fail(n, "ignore is a list: write - rules: [DH001] and below it reason: …")
		return
	}
	for _, item := range n.Content {
		r.ignore(resolve(item))
	}
}

// ignore reads an entry of "ignore".
func (r *reader) ignore(n *yaml.Node) {
	e := ignore{line: n.Line}
	before := len(r.errs)
	seen := r.mapping(n, "an entry of ignore", []field{
		{"rules", func(n *yaml.Node) {
			r.texts(n, "rules", "[DH001]", func(n *yaml.Node, s string) {
				if id, ok := r.rule(n, s); ok {
					e.rules = append(e.rules, id)
				}
			})
		}},
		{"paths", func(n *yaml.Node) {
			r.texts(n, "paths", `["legacy/**"]`, func(n *yaml.Node, s string) { e.paths = append(e.paths, r.pattern(n, s)...) })
		}},
		{"subjects", func(n *yaml.Node) {
			r.texts(n, "subjects", `["service db"]`, func(_ *yaml.Node, s string) { e.subjects = append(e.subjects, s) })
		}},
		{"reason", func(n *yaml.Node) { e.reason, _ = r.text(n, "reason", "reason: the vendor's image wants root") }},
		{"until", func(n *yaml.Node) { e.until = r.day(n) }},
	})
	switch {
	case len(r.errs) > before || n.Kind != yaml.MappingNode:
		return
	case seen["reason"] == nil:
		r.fail(n, "this ignore gives no reason: write reason: and why")
	case len(e.rules)+len(e.paths)+len(e.subjects) == 0:
		r.fail(n, "this ignore would ignore everything: write what it is about, as in rules: [DH001]")
	default:
		r.policy.ignores = append(r.policy.ignores, e)
	}
}

// day reads a date.
func (r *reader) day(n *yaml.Node) time.Time {
	day, err := time.Parse(time.DateOnly, n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		r.fail(n, "until is no day: write it as in until: 2027-01-31")
	}
	return day
}
