/* Cleaning and forced recovery: docs/protocol.md sections 1 and 4. */

/* CleanRow: CLEANING, then the liveness lease, which is the proof of death. The bits come first and
 * the identity last. A cleaner tries locks and never waits for them. Every step is idempotent. */
inline cleanRow(row)
{
	if
	:: d_step { cleaning[row] == 0 -> cleaning[row] = me };
		if
#ifdef MUT_CLEAN_WITHOUT_LOCK
		:: rowlock[row] == 0 ->
#else
		:: d_step { rowlock[row] == 0 -> rowlock[row] = me };
#endif
#ifdef MUT_IDENTITY_FIRST
			status[row] = 0;
#endif
			maskL = maskL & ~BIT(row);
			maskP = maskP & ~BIT(row);
			pins[row] = 0;
#ifndef MUT_CLEAN_NO_WAKE
			wakeProducer();
#endif
			status[row] = 0;
#ifndef MUT_CLEAN_WITHOUT_LOCK
			rowlock[row] = 0;
#endif
			skip
		:: else
		fi;
		cleaning[row] = 0
	:: else ->
		/* Another process cleans the row or probes it. A producer checks again after its next
		 * bounded sleep. */
		if
		:: PRODUCERS & BIT(me) -> overdue = overdue | 128
		:: else
		fi
	fi
}

/* Producer.releaseDead: a producer under backpressure cleans the dead rows. A probe of a living row
 * changes nothing, so probes are left out until a participant has died. */
#define RELEASE_DEAD(row) \
	if \
	:: dead && (maskP & BIT(row)) && rowlock[row] == 0 -> cleanRow(row) \
	:: else \
	fi
inline releaseDead()
{
#ifdef RELEASES
	RELEASE_DEAD(0)
#if ROWS > 1
	;
	RELEASE_DEAD(1)
#endif
#else
	skip
#endif
}

#ifdef WITH_Cleaner
/* cleanup_dead_consumers: cleans the rows that have an identity. `after` names the process for
 * whose end it waits, so that the check covers what that process left behind. */
proctype Cleaner(byte me; byte row; byte after)
{
	bit leftover;

	{
	atomic { !after || ((dead | gone) & BIT(after));
	        leftover = (after && ((maskL | maskP) & BIT(row)) && !rowlock[row] && !cleaning[row]) };
	if
	:: status[row] -> cleanRow(row)
	:: else
	fi;
	atomic {
		/* nothing is left of a dead row and a dead cleaner, unless a process works on the row
		 * now */
		assert(!leftover || rowlock[row] || cleaning[row] || !((maskL | maskP) & BIT(row)));
		ENDS
	}
	} unless {
		atomic { DIES }
	}
}
#endif

#ifdef WITH_Prober
/* A probe of a row whose owner is dead, while cleaners start and end. A cleaner holds both bytes
 * of a row as one range. One query to the kernel distinguishes that range from the owner's
 * single byte. */
proctype Prober(byte row)
{
#ifdef MUT_PROBE_TWO_LOOKS
	if
	:: rowlock[row] ->
		if
		:: cleaning[row]
		:: else -> assert(false)		/* a dead owner is reported as alive */
		fi
	:: else
	fi
#else
	assert(!rowlock[row] || cleaning[row] == rowlock[row])	/* free, or being cleaned, but never alive */
#endif
}
#endif

#ifdef WITH_Resetter
/* ForceResetSlot with force, for an open claim (recoverySession.fence) or a committed message
 * (recoverySession.discard). */
proctype Resetter(byte me; bit fence)
{
	byte c, v;

	{
	if
	:: fence ->
		c = claimed;
		do
		:: c ->
			v = ent[AT(0, c - 1)];
			if
			:: TAG(v) >= c -> break		/* published in the meantime */
			:: else ->
				atomic {
					if
					:: ent[AT(0, c - 1)] == v ->
						ent[AT(0, c - 1)] = v | FENCE;
						if :: claimed == c -> broken = 1 :: else fi;
						break
					:: else
					fi
				}
			fi
		:: !c -> break
		od
	:: !fence ->
		do
#ifdef UNLAGGED
		:: c < 1 -> c++
#else
		:: c < N - 1 -> c++
#endif
		:: break
		od;
		do
		:: v = ent[c];
#ifdef RECLAIM
			if :: IS_RECLAIMED(v) -> break :: else fi;	/* no slot of a message that could be discarded */
#endif
			atomic {
				if
				:: ent[c] == v -> ent[c] = v | LOST; lost = lost | BIT(TAG(v) - 1); break
				:: else
				fi
			}
		od
	fi;
	wakeAlways();
	atomic { c = 0; v = 0; gone = gone | BIT(me) }
	} unless {
		atomic { DIES; c = 0; v = 0 }
	}
}
#endif
