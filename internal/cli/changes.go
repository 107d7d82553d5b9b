package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
)

// changeKeywords are the instructions that import --change takes, as docker's does.
const changeKeywords = "CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, SHELL, STOPSIGNAL, USER, VOLUME, WORKDIR"

// applyChanges applies Dockerfile instructions to an image's configuration, in order.
func applyChanges(c *dockerspec.DockerOCIImageConfig, changes []string) error {
	for _, line := range changes {
		if err := applyChange(c, line); err != nil {
			return withHint(fmt.Errorf("--change %q: %w", line, err), "it takes "+changeKeywords)
		}
	}
	return nil
}

func applyChange(c *dockerspec.DockerOCIImageConfig, line string) error {
	keyword, rest := cutSpace(strings.TrimSpace(line))
	if rest == "" {
		return errors.New("an instruction and its arguments are needed")
	}
	switch strings.ToUpper(keyword) {
	case "CMD":
		c.Cmd = commandForm(c, rest)
	case "ENTRYPOINT":
		c.Entrypoint = commandForm(c, rest)
	case "ENV":
		return eachPair(rest, func(k, v string) { c.Env = setEnv(c.Env, k, v) })
	case "LABEL":
		return eachPair(rest, func(k, v string) { set(&c.Labels, k, v) })
	case "EXPOSE":
		return expose(c, rest)
	case "ONBUILD":
		return onBuild(c, rest)
	case "SHELL":
		return jsonList(rest, &c.Shell)
	case "STOPSIGNAL":
		c.StopSignal = rest
	case "USER":
		c.User = rest
	case "VOLUME":
		return volumes(c, rest)
	case "WORKDIR":
		c.WorkingDir = path.Join("/", c.WorkingDir, rest)
		if path.IsAbs(rest) {
			c.WorkingDir = path.Clean(rest)
		}
	default:
		return fmt.Errorf("unknown instruction %s", strings.ToUpper(keyword))
	}
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
func commandForm(c *dockerspec.DockerOCIImageConfig, s string) []string {
	var list []string
	if jsonList(s, &list) == nil {
		return list
	}
	shell := c.Shell
	if len(shell) == 0 {
		shell = []string{"/bin/sh", "-c"}
	}
	return append(shell[:len(shell):len(shell)], s)
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

func volumes(c *dockerspec.DockerOCIImageConfig, s string) error {
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

func onBuild(c *dockerspec.DockerOCIImageConfig, s string) error {
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
func expose(c *dockerspec.DockerOCIImageConfig, s string) error {
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
	var words []string
	var b strings.Builder
	inWord, quote := false, rune(0)
	runes := []rune(s)
	for i := 0; i < len(runes); i++ {
		switch r := runes[i]; {
		case r == '\\' && quote != '\'' && i+1 < len(runes):
			i++
			if quote == '"' && runes[i] != '"' && runes[i] != '\\' && runes[i] != '$' {
				b.WriteRune('\\')
			}
			b.WriteRune(runes[i])
			inWord = true
		case quote != 0:
			if r == quote {
				quote = 0
			} else {
				b.WriteRune(r)
			}
		case r == '"' || r == '\'':
			quote, inWord = r, true
		case r == ' ' || r == '\t' || r == '\n':
			if inWord {
				words = append(words, b.String())
				b.Reset()
				inWord = false
			}
		default:
			b.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the quote %c is not closed", quote)
	}
	if inWord {
		words = append(words, b.String())
	}
	return words, nil
}
