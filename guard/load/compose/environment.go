package compose

import (
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/template"
)

// environment are the variables that a file's values may name.
type environment map[string]string

// readEnvironment reads a .env file; without one there are no variables.
func readEnvironment(path string) (environment, error) {
	err := readable(path)
	if errors.Is(err, fs.ErrNotExist) {
		return environment{}, nil
	}
	if err != nil {
		return nil, err
	}
	values, err := dotenv.GetEnvFromFile(map[string]string{}, []string{path})
	return values, err
}

func (e environment) lookup(name string) (string, bool) {
	value, ok := e[name]
	return value, ok
}

// placeholder stands for variables that must be set by whoever runs the file. They are empty for us.
const placeholder = "\u2060required\u2060"

// substitute expands variables. One that is required and not set is empty: whoever runs the file will set it.
func substitute(text string, mapping template.Mapping) (string, error) {
	if !strings.Contains(text, "$") {
		return text, nil
	}
	required := map[string]bool{}
	for {
		out, err := template.SubstituteWithOptions(text, func(name string) (string, bool) {
			if required[name] {
				return placeholder, true
			}
			return mapping(name)
		}, template.WithoutLogging)
		var missing *template.MissingRequiredError
		if !errors.As(err, &missing) || required[missing.Variable] {
			return strings.ReplaceAll(out, placeholder, ""), err
		}
		required[missing.Variable] = true
	}
}

// expand expands variables in a text that may stand as it is where that fails.
func (e environment) expand(text string) string {
	out, err := substitute(text, e.lookup)
	if err != nil {
		return text
	}
	return out
}

// literal is a text without what variables bring: with their defaults.
func literal(text string) string { return environment{}.expand(text) }

// open are the variables in a text that decide what it is and are set nowhere.
func (e environment) open(text string) []string {
	if !strings.Contains(text, "$") {
		return nil
	}
	var names []string
	for _, v := range template.ExtractVariables(map[string]any{"": text}, template.DefaultPattern) {
		if _, set := e[v.Name]; !set && v.DefaultValue == "" && v.PresenceValue == "" {
			names = append(names, v.Name)
		}
	}
	slices.Sort(names)
	return names
}
