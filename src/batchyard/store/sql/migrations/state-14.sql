-- state.db, version 13 to 14: what is consumed of a consumable resource is counted from its creation on.
ALTER TABLE consumables ADD COLUMN born INTEGER NOT NULL DEFAULT 0;
