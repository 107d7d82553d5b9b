package profile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// fieldsOf are the names an object of the file may have, by the object's place; nil: any.
func fieldsOf(place string) []string {
	switch place {
	case "":
		return namesOf(reflect.TypeFor[Profile]())
	case "tmpfs[]":
		return namesOf(reflect.TypeFor[Tmpfs]())
	case "volumes[]":
		return namesOf(reflect.TypeFor[Volume]())
	}
	return nil
}

// namesOf are the names of a struct's fields in JSON. Each field has one.
func namesOf(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	return names
}

// checkNames refuses names that nobody knows, differ in case, or stand twice in one object: encoding/json
// lets the last two pass. data is valid JSON.
func checkNames(data []byte) error {
	w := &walker{data: data, decoder: json.NewDecoder(bytes.NewReader(data))}
	w.decoder.UseNumber()
	return w.value("")
}

// walker goes through a document token by token.
type walker struct {
	data    []byte
	decoder *json.Decoder
}

func (w *walker) value(place string) error {
	t, err := w.decoder.Token()
	if err != nil {
		return placed(err, w.data)
	}
	switch t {
	case json.Delim('{'):
		err = w.object(place)
	case json.Delim('['):
		for w.decoder.More() && err == nil {
			err = w.value(place + "[]")
		}
	default:
		return nil
	}
	if err != nil {
		return err
	}
	_, err = w.decoder.Token() // the closing bracket
	return err
}

func (w *walker) object(place string) error {
	known, seen := fieldsOf(place), map[string]bool{}
	for w.decoder.More() {
		t, err := w.decoder.Token()
		if err != nil {
			return placed(err, w.data)
		}
		name, _ := t.(string) // a key always is one
		e := &Error{Line: lineAt(w.data, w.decoder.InputOffset()), Field: join(place, name)}
		switch {
		case seen[name]:
			e.Reason = "stands here twice"
			return e
		case known != nil && !slices.Contains(known, name):
			e.Reason = "unknown field"
			e.Hint = fmt.Sprintf("there are:  %s", strings.Join(known, ", "))
			return e
		}
		seen[name] = true
		if err := w.value(join(place, name)); err != nil {
			return err
		}
	}
	return nil
}

func join(place, name string) string {
	if place == "" {
		return name
	}
	return place + "." + name
}
