package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/internal/hint"
)

// changeKeywords are the instructions that import --change takes, as docker's does.
const changeKeywords = "CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, SHELL, STOPSIGNAL, USER, VOLUME, WORKDIR"

// applyChanges applies Dockerfile instructions to an image's configuration, in order.
func applyChanges(c *config, changes []string) error {
	for _, line := range changes {
		if err := applyChange(c, line); err != nil {
			return hint.With(fmt.Errorf("--change %q: %w", line, err), "it takes "+changeKeywords)
		}
	}
	return nil
}

// config is what the instructions change.
type config = dockerspec.DockerOCIImageConfig

// changers are the instructions' effects. The map is made when it is needed, not at start-up.
func changers() map[string]func(*config, string) error {
	return map[string]func(*config, string) error{
		"CMD":        func(c *config, s string) error { c.Cmd = commandForm(c, s); return nil },
		"ENTRYPOINT": func(c *config, s string) error { c.Entrypoint = commandForm(c, s); return nil },
		"ENV": func(c *config, s string) error {
			return eachPair(s, func(k, v string) { c.Env = setEnv(c.Env, k, v) })
		},
		"EXPOSE": expose,
		"LABEL": func(c *config, s string) error {
			return eachPair(s, func(k, v string) { set(&c.Labels, k, v) })
		},
		"ONBUILD":    onBuild,
		"SHELL":      func(c *config, s string) error { return jsonList(s, &c.Shell) },
		"STOPSIGNAL": func(c *config, s string) error { c.StopSignal = s; return nil },
		"USER":       func(c *config, s string) error { c.User = s; return nil },
		"VOLUME":     volumes,
		"WORKDIR":    workDir,
	}
}

func applyChange(c *config, line string) error {
	keyword, rest := cutSpace(strings.TrimSpace(line))
	if rest == "" {
		return errors.New("an instruction and its arguments are needed")
	}
	change, ok := changers()[strings.ToUpper(keyword)]
	if !ok {
		return fmt.Errorf("unknown instruction %s", strings.ToUpper(keyword))
	}
	return change(c, rest)
}

// workDir is absolute, or relative to the one before.
func workDir(c *config, s string) error {
	if !path.IsAbs(s) {
		s = path.Join("/", c.WorkingDir, s)
	}
	c.WorkingDir = path.Clean(s)
	return nil
}

// cutSpace splits at the first white space.
func cutSpace(s string) (first, rest string) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimSpace(s[i:])
}

// commandForm reads the exec form (a JSON list) or, if it is none, the shell form.
func commandForm(c *config, s string) []string {
	var list []string
	if jsonList(s, &list) == nil {
		return list
	}
	shell := c.Shell
	if len(shell) == 0 {
		shell = []string{"/bin/sh", "-c"}
	}
	return append(slices.Clip(shell), s)
}

func jsonList(s string, to *[]string) error {
	var list []string
	if err := json.Unmarshal([]byte(s), &list); err != nil || list == nil {
		return fmt.Errorf("not a list of strings: %s", s)
	}
	*to = list
	return nil
}

// eachPair reads KEY=VALUE words, or the old form KEY VALUE.
func eachPair(s string, f func(k, v string)) error {
	words, err := splitWords(s)
	if err != nil {
		return err
	}
	if len(words) > 0 && !strings.Contains(words[0], "=") {
		key, value := cutSpace(s)
		if value == "" {
			return fmt.Errorf("%s has no value", key)
		}
		f(key, value)
		return nil
	}
	for _, w := range words {
		k, v, ok := strings.Cut(w, "=")
		if !ok || k == "" {
			return fmt.Errorf("%q is not KEY=VALUE", w)
		}
		f(k, v)
	}
	return nil
}

func setEnv(env []string, k, v string) []string {
	for i, e := range env {
		if strings.HasPrefix(e, k+"=") {
			env[i] = k + "=" + v
			return env
		}
	}
	return append(env, k+"="+v)
}

func set[V any](m *map[string]V, k string, v V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[k] = v
}

func volumes(c *config, s string) error {
	var list []string
	if jsonList(s, &list) != nil {
		words, err := splitWords(s)
		if err != nil {
			return err
		}
		list = words
	}
	for _, v := range list {
		if v == "" {
			return errors.New("a volume cannot be an empty string")
		}
		set(&c.Volumes, v, struct{}{})
	}
	return nil
}

func onBuild(c *config, s string) error {
	switch keyword, _ := cutSpace(s); strings.ToUpper(keyword) {
	case "ONBUILD":
		return errors.New("ONBUILD cannot be chained")
	case "FROM", "MAINTAINER":
		return fmt.Errorf("%s is not allowed as an ONBUILD trigger", strings.ToUpper(keyword))
	}
	c.OnBuild = append(c.OnBuild, s)
	return nil
}

// expose reads ports: "80", "80/udp", "8000-8010/tcp".
func expose(c *config, s string) error {
	words, err := splitWords(s)
	if err != nil {
		return err
	}
	for _, w := range words {
		ports, proto, ok := strings.Cut(w, "/")
		if !ok {
			proto = "tcp"
		}
		if proto = strings.ToLower(proto); proto != "tcp" && proto != "udp" && proto != "sctp" {
			return fmt.Errorf("%q has no known protocol", w)
		}
		first, last, isRange := strings.Cut(ports, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.ParseUint(first, 10, 16)
		to, err2 := strconv.ParseUint(last, 10, 16)
		if err1 != nil || err2 != nil || from > to {
			return fmt.Errorf("%q is no port", w)
		}
		for p := from; p <= to; p++ {
			set(&c.ExposedPorts, strconv.FormatUint(p, 10)+"/"+proto, struct{}{})
		}
	}
	return nil
}

// splitWords splits as a Dockerfile does: quotes group, a backslash takes the next character as it is.
func splitWords(s string) ([]string, error) {
	var sp splitter
	for _, r := range s {
		sp.next(r)
	}
	if sp.quote != 0 {
		return nil, fmt.Errorf("the quote %c is not closed", sp.quote)
	}
	if sp.escaped {
		sp.put('\\')
	}
	sp.end()
	return sp.words, nil
}

// splitter is the state of splitWords between two characters.
type splitter struct {
	words   []string
	word    strings.Builder
	inWord  bool
	quote   rune // the open one, or 0
	escaped bool // a backslash came before
}

func (s *splitter) next(r rune) {
	switch {
	case s.escaped:
		s.escape(r)
	case r == '\\' && s.quote != '\'':
		s.escaped = true
	case s.quote != 0:
		s.quoted(r)
	case r == '"' || r == '\'':
		s.quote, s.inWord = r, true
	case r == ' ' || r == '\t' || r == '\n':
		s.end()
	default:
		s.put(r)
	}
}

// escape takes the character after a backslash; between double quotes the backslash stays before most of them.
func (s *splitter) escape(r rune) {
	s.escaped = false
	if s.quote == '"' && !strings.ContainsRune("\"\\$", r) {
		s.put('\\')
	}
	s.put(r)
}

func (s *splitter) quoted(r rune) {
	if r == s.quote {
		s.quote = 0
		return
	}
	s.put(r)
}

func (s *splitter) put(r rune) {
	s.word.WriteRune(r)
	s.inWord = true
}

func (s *splitter) end() {
	if s.inWord {
		s.words = append(s.words, s.word.String())
		s.word.Reset()
		s.inWord = false
	}
}
