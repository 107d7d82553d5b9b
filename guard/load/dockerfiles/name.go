package dockerfiles

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/dockerfile"
)

// Is reports whether a file of this name (base name) with this beginning is one. With no data, the name decides.
func Is(name string, data []byte) bool {
	return isName(name) || len(data) > 0 && begins(data)
}

// isName reports whether the name alone says so: Dockerfile, Containerfile, Dockerfile.dev, web.Dockerfile.
func isName(name string) bool {
	if isOther(name) {
		return false
	}
	switch name {
	case "Dockerfile", "dockerfile", "Containerfile", "containerfile":
		return true
	}
	if strings.HasPrefix(name, "Dockerfile.") || strings.HasPrefix(name, "Containerfile.") {
		return true
	}
	stem, suffix := strings.TrimSuffix(name, path.Ext(name)), path.Ext(name)
	return stem != "" && (suffix == ".Dockerfile" || suffix == ".dockerfile" || suffix == ".Containerfile" || suffix == ".containerfile")
}

// isOther reports whether the name is that of a text about Dockerfiles, of a copy that an editor left, or of a
// template that something else makes a Dockerfile of.
func isOther(name string) bool {
	return strings.HasSuffix(name, "~") || slices.Contains([]string{
		".dockerignore", ".containerignore", ".md", ".markdown", ".rst", ".adoc", ".txt", ".html", ".bak", ".orig", ".old",
		".rej", ".save", ".swp", ".j2", ".jinja", ".jinja2", ".tmpl", ".tpl", ".template", ".erb", ".mustache", ".hbs", ".in",
	}, strings.ToLower(path.Ext(name)))
}

// begins reports whether the text begins as a Dockerfile does, and is one.
func begins(data []byte) bool {
	rest := bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		keyword, _, _ := bytes.Cut(bytes.ReplaceAll(line, []byte("\t"), []byte(" ")), []byte(" "))
		if !bytes.EqualFold(keyword, []byte("FROM")) && !bytes.EqualFold(keyword, []byte("ARG")) {
			return false
		}
		_, err := dockerfile.Parse(data)
		return err == nil
	}
	return false
}
