package segment

// Translation makes the errors of one participant errors of another type, and back. The Go package
// has its own type. The calls whose public form is inlined (Claim, Commit, Next and the
// guards) translate their errors themselves: another call around them would be a tenth of
// their time.
type Translation struct{ To, From func(error) error }

// TranslateErrors sets the translation of a participant.
func (a *Attachment) TranslateErrors(t *Translation) { a.translation = t }

// Translated returns an error as the caller of the participant gets it.
func (a *Attachment) Translated(err error) error {
	if err == nil || a.translation == nil {
		return err
	}
	return a.translation.To(err)
}

// Untranslated returns an error that Translated has returned, as a *status.Error.
func (a *Attachment) Untranslated(err error) error {
	if err == nil || a.translation == nil {
		return err
	}
	return a.translation.From(err)
}
