/* The producer: docs/protocol.md section 2; take-over is in section 4. */

/* Segment.WakeConsumers. A sleeper whose bit is not seen here sees every message that was published
 * before. */
inline wakeConsumers()
{
	if
#ifndef MUT_NO_WAKE
#ifdef MUT_WAKER_CLEARS_LATE
	:: waiting -> event_same = 0; asleep = 0; waiting = 0
#else
	:: waiting ->
		waiting = 0;		/* an exchange; its value is not needed, because every sleeper is woken */
#ifndef MUT_WAKE_WITHOUT_EVENT
		event_same = 0;
#endif
		asleep = 0
#endif
#endif
	:: else
	fi
}

/* Producer.waitForRoom: an event count on ctl_wake. The first call arms the wait, and the caller
 * checks again. The second call sleeps. */
inline waitForRoom(need)
{
	if
#ifdef MUT_PRODUCER_ARMS_LATE
	:: !armed -> armed = 1
	:: else ->
		ctl_same = 1;
		pw = need;
#else
	:: !armed -> ctl_same = 1; d_step { pw = need; armed = 1 }
	:: else ->
#endif
		d_step { pasleep = ctl_same; armed = 0 };
		if
		:: !pasleep
		:: d_step { pasleep && TIMEOUT(128) -> pasleep = 0; TOOK_TIMEOUT(128) }
		fi;
		releaseDead()
	fi
}

/* Producer.gate, the backpressure check. A rescan loads each LOSSLESS cursor once, and limits it to
 * `next`. A cursor below next - N holds the producer with or without a lower limit. */
#define SCAN_CURSOR(r) \
	d_step { \
		if \
		:: (k & BIT(r)) && cursor[r] < minc -> minc = cursor[r] \
		:: else \
		fi \
	}

#ifdef RECLAIM
#define FORGET_RECLAIM released = 0; reclaimed = 0
#define SET_RELEASED if :: k -> released = minc :: else fi
#else
#define FORGET_RECLAIM skip
#define SET_RELEASED skip
#endif

/* Producer.Claim 1. Only a rescan that has seen a new join_epoch acknowledges that epoch. */
inline gate()
{
	do
	:: atomic {
		j = join_epoch;
		if
#ifdef MUT_GATE_IGNORES_JOIN
		:: next < minc + N -> if :: j != seen -> join_ack = j; seen = j :: else fi; j = 0; break
#elif !defined(RECLAIM)		/* there every claim scans */
		:: next < minc + N && j == seen -> j = 0; break
#endif
		:: else
		fi
	   };
		atomic {
			k = maskL; minc = next;
#ifdef RECLAIM
			released = 0;
#endif
#ifndef MUT_ACK_RELOADS_EPOCH
			if
			:: !k && j == seen -> j = 0; armed = 0; break
			:: else
			fi
#endif
		};
		SCAN_CURSOR(0);
#if ROWS > 1
		SCAN_CURSOR(1);
#endif
#if ROWS > 2
		SCAN_CURSOR(2);
#endif
#ifdef MUT_ACK_RELOADS_EPOCH
		j = join_epoch;
#endif
		atomic {
			SET_RELEASED;
			k = 0;
			if
			:: j != seen -> join_ack = j; seen = j
			:: else
			fi;
			if
#ifdef MUT_NO_GATE
			:: true -> j = 0; break
#else
			:: next < minc + N -> j = 0; armed = 0; break
			:: else
#endif
			fi
		};
		waitForRoom(next - N + 1)
	od
}

/* Producer.refill: one hazard-pointer scan, begun after the last retirement that it serves. A freed
 * slot is blanked, so a consumer that still reads it reads a torn payload. */
#define SCAN_PIN(r) \
	d_step { \
		if \
		:: (k & BIT(r)) && pins[r] -> m = m | BIT(pins[r] - 1) \
		:: else \
		fi \
	}
#define BLANK(i) if :: free & BIT(i) -> w1[i] = 0; w2[i] = 0 :: else fi
inline refill()
{
#ifndef MUT_EPOCH_AFTER_SCAN
	scan_same = 0;
#endif
	k = maskP;
	SCAN_PIN(0);
#if ROWS > 1
	SCAN_PIN(1);
#endif
#if ROWS > 2
	SCAN_PIN(2);
#endif
#ifdef MUT_EPOCH_AFTER_SCAN
	scan_same = 0;
#endif
	d_step {
#ifdef MUT_REFILL_NO_PIN_CHECK
		m = 0;
#endif
#ifdef MUT_REFILL_REUSES_SCAN
		lastscan = m; scanned = 1;
#endif
		free = retired & ~m; retired = retired & m; m = 0; k = 0;
		BLANK(0); BLANK(1);
#if SLOTS > 2
		BLANK(2);
#endif
#if SLOTS > 3
		BLANK(3);
#endif
#if SLOTS > 4
		BLANK(4);
#endif
#if SLOTS > 5
		BLANK(5);
#endif
		skip
	}
}

/* Producer.reclaim: retires the slots of messages that every LOSSLESS reader of the last rescan has
 * released, in the order of their ids, and never that of the newest message. Each swap follows a
 * load of join_epoch. */
#ifdef MUT_RECLAIM_IGNORES_JOIN
#define NO_JOIN true
#else
#define NO_JOIN (join_epoch == seen)
#endif
#ifdef MUT_RECLAIM_PASSES_OVER
#define STAYS d_step { v = 0; reclaimed++ }
#else
#define STAYS d_step { v = 0; released = 0 }	/* the end of this reclaiming */
#endif
inline reclaim()
{
	d_step {
		if :: reclaimed < AFTER(next) -> reclaimed = AFTER(next) :: else fi;
		if :: released > next - 1 -> released = next - 1 :: else fi
	};
	do
	:: atomic { reclaimed < released && NO_JOIN -> v = exp[reclaimed % N] };
		if
		:: atomic { IS_RECLAIMED(v) -> v = 0; reclaimed++ }	/* by an earlier producer */
		:: (v & FENCE) -> STAYS
		:: else ->
			atomic {
				if
				:: ent[AT(BLK, reclaimed)] == v ->
					ent[AT(BLK, reclaimed)] = ENTRY(reclaimed, RECLAIMED)
				:: else -> v = 0
				fi
			};
			if
			:: !v -> STAYS
			:: else ->
				d_step {
					exp[reclaimed % N] = ENTRY(reclaimed, RECLAIMED);
#ifdef MUT_RECLAIM_FREES
					free = free | BIT(SLOT(v));
#else
					retired = retired | BIT(SLOT(v));
#endif
					v = 0; reclaimed++
				}
			fi
		fi
	:: else -> break
	od;
	released = 0
}

/* Producer.Claim 2 (Producer.hasSlot). */
inline hasSlot()
{
	do
	:: atomic {
		free ->
		d_step {
			slot = 0; armed = 0;
			do :: !(free & BIT(slot)) -> slot++ :: else -> break od;
			free = free & ~BIT(slot)
		};
		break
	   }
	:: !free ->
		refill();
		if
		:: free
		:: !free ->
#ifdef OVERBOOKED
			waitForRoom(ANY)
#else
			assert(false)		/* readers within their allowance starve the producer */
#endif
		fi
	od
}

/* What a producer knows of the ring: each entry as the producer left it. FENCE in it means that the
 * next claim has to load the entry. */
#define KNOWN exp[next % N]

/* newProducer: loads all entries. (Spin would duplicate a label if the loop were inlined twice.) */
inline know()
{
	d_step {
		exp[0] = ent[BLK * N];
#if N > 1
		exp[1] = ent[BLK * N + 1];
#endif
#if N > 2
		exp[2] = ent[BLK * N + 2];
#endif
#if N > 3
		exp[3] = ent[BLK * N + 3];
#endif
#if N > 4
#error an entry that nobody knows
#endif
		skip
	}
}

inline forget()
{
	exp[0] = 0;
#if N > 1
	exp[1] = 0;
#endif
#if N > 2
	exp[2] = 0;
#endif
#if N > 3
	exp[3] = 0;
#endif
	skip
}

/* Producer.Claim and resyncEntry. Sets rem. Jumps to `over` when the block is being replaced. The
 * state is loaded after the entry is remembered. If this load does not see the replacer's state,
 * the fence comes later, and the compare-and-swap fails on it. */
inline remember()
{
#ifdef MUT_STATE_BEFORE_REMEMBER
	if :: state[BLK] >= REPLACING -> goto over :: else fi;
#endif
	if
	:: !(KNOWN & FENCE) -> rem = KNOWN
	:: else ->
		do
		:: atomic { rem = ent[AT(BLK, next)]; if :: rem & FENCE :: else -> break fi };
			atomic {
				if
				:: ent[AT(BLK, next)] == rem -> rem = rem & ~FENCE; ent[AT(BLK, next)] = rem; break
				:: else
				fi
			}
		od;
		KNOWN = rem
	fi;
#if defined(WITH_Opener) && !defined(MUT_STATE_BEFORE_REMEMBER)
	if :: state[BLK] >= REPLACING -> goto over :: else fi;
#endif
}

/* Producer.Commit. The compare-and-swap is the only publication. Jumps to `refused` when it finds a
 * fence. */
inline publish()
{
	do
	:: atomic {
		v = ent[AT(BLK, next)];
		if
		:: v == rem ->
			ent[AT(BLK, next)] = ENTRY(next, slot);
			KNOWN = ENTRY(next, slot);
			v = 0;
			assert(published[BLK] == next);	/* no id is used twice */
			published[BLK]++;
#ifdef RESET
			assert(!broken);		/* a claim that an operator broke is not published */
#endif
#ifdef WITH_Opener
			assert(BLK == current);		/* two producers never write */
			assert(BLK || !told_end);	/* nothing is committed after a reader got SUPERSEDED */
#endif
#ifdef MUT_REFILL_REUSES_SCAN
			if
			:: scanned && TAG(rem) && !(lastscan & BIT(SLOT(rem))) -> free = free | BIT(SLOT(rem))
			:: else -> if :: TAG(rem) -> retired = retired | BIT(SLOT(rem)) :: else fi
			fi;
#else
			if :: TAG(rem) && !IS_RECLAIMED(rem) -> retired = retired | BIT(SLOT(rem)) :: else fi;
#endif
			rem = 0; slot = 0; broken = 0;
			break
#ifdef MUT_COMMIT_IGNORES_FENCE
		:: else -> rem = v; v = 0
#else
		:: v == (rem | LOST) && v != rem -> rem = v; v = 0
		:: TAG(v) > next && v != rem -> assert(published[BLK] == next)	/* another producer has used the id */
		:: (v & FENCE) && v != rem -> v = 0; KNOWN = KNOWN | FENCE; goto refused
#endif
		fi
	   }
	od
}

/* adopt, the take-over. The entries are the truth, `commit` is a lower bound. (The producer epoch
 * that adopt increments is not used by the exchange.) */
inline adopt()
{
	d_step { retired = ALL; next = commit[BLK] };
	do
	:: atomic {
		v = ent[BLK * N + k];
		exp[k] = v;
		if
		:: TAG(v) && !IS_RECLAIMED(v) -> retired = retired & ~BIT(SLOT(v))
		:: else
		fi;
#ifndef MUT_ADOPT_TRUSTS_COMMIT
		if
		:: TAG(v) > next -> next = TAG(v)
		:: else
		fi;
#endif
		v = 0; k++;
		if
		:: k == N -> k = 0; break
		:: else
		fi
	   }
	od;
#ifdef MUT_ADOPT_FREES
	atomic { free = retired; retired = 0 };
#endif
#ifdef MUT_ADOPT_ASSUMES_MINIMUM
	minc = next;
#endif
#ifdef RESET
	claimed = 0;
#endif
	pw = 0;
#ifdef MUT_ADOPT_STORES_STATE
	state[BLK] = READY
#else
	/* compare-and-swap: a replacer's state stays */
	d_step { if :: state[BLK] == CLOSED -> state[BLK] = READY :: else fi }
#endif
}

#ifdef WITH_Producer
/* A block in use: it contains the first N messages, and every other slot is retired. */
inline givenBlock()
{
	byte z;
	do
	:: z < N -> ent[z] = ENTRY(z, z); w1[z] = z + 1; w2[z] = z + 1; z++
	:: else -> z = 0; break
	od;
	published[0] = N; commit[0] = N; lock0[0] = 1
}

/* An operator may have broken the ended claim. The next claim is a new one, and loads the entry. */
#define ABORTED KNOWN = KNOWN | FENCE

/* The producer: process 1 holds row 0 from the start. When `after` names a process, this is the
 * successor that takes the block over after that process has died. */
proctype Producer(byte me; byte after; byte upto)
{
	byte next, free, retired, slot, rem, minc, seen, j, k, m, v, exp[N];
	byte aborted;
	bit armed;
#ifdef RECLAIM
	byte released, reclaimed;
#endif
#ifdef MUT_REFILL_REUSES_SCAN
	byte lastscan; bit scanned;
#endif
	{
	if
	:: d_step { !after -> next = N; retired = ALL & ~(BIT(N) - 1) } -> know()
	:: d_step { after && (dead & BIT(after)) && lock0[0] == 0 -> lock0[0] = me } -> adopt(); wakeAlways()
	:: after && (gone & BIT(after)) -> goto over
	fi;
	do
	:: next < upto ->
		gate();
#ifdef RECLAIM
		reclaim();
#endif
		hasSlot();
#ifdef MUT_MARK_BEFORE_REMEMBER
		atomic { claimed = next + 1; broken = 0 };
#endif
		remember();
#if defined(RESET) && !defined(MUT_MARK_BEFORE_REMEMBER)
		atomic { claimed = next + 1; broken = 0 };	/* Producer.Claim, mark */
#endif
		w1[slot] = next + 1;
		if
		:: w2[slot] = next + 1
		/* Producer.Abort */
		:: atomic { aborted < ABORTS -> aborted++; ABORTED; free = free | BIT(slot); slot = 0; rem = 0;
		           goto unmark }
		fi;
		publish();
		atomic { next++; commit[0] = next };
		wakeConsumers();
		goto unmark;
refused:	atomic { free = free | BIT(slot); slot = 0; rem = 0 };
unmark:
#ifdef RESET
		claimed = 0;
#endif
		skip
	:: else -> break
	od;
	state[0] = CLOSED;		/* Producer.Close */
	wakeAlways();
over:
	atomic {
		ENDS;
		free = 0; retired = 0; minc = 0; seen = 0; next = 0; aborted = 0;
		FORGET_RECLAIM;
		forget()
	}
	} unless {
		atomic {
			DIES;
			next = 0; free = 0; retired = 0; slot = 0; rem = 0; minc = 0; seen = 0; j = 0; k = 0; m = 0; v = 0;
			armed = 0; aborted = 0;
			FORGET_RECLAIM;
			forget()
		}
	}
}
#endif
