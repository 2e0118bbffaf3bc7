package dashboard

import "datablock"

func (m *messageJSON) decode(s *datablock.Schema, content []byte) { m.dump(content) }
