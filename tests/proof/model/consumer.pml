/* Consumers: docs/protocol.md section 3; attach and leave are in section 4. */

#define NEWEST 0
#define OLDEST 1

/* Called after any store that moves a LOSSLESS cursor from o to cur. */
inline lookAtProducer()
{
	if
#ifndef MUT_NO_WAKE_PRODUCER
	:: d_step { pw == ANY || (o < pw && pw <= cur) -> o = 0 } -> ctl_same = 0; pasleep = 0
#endif
	:: else -> o = 0
	fi
}

/* The cursor of a LOSSLESS row moves by an exchange. A load of producer_waiting follows. */
inline advance(target)
{
#ifdef LATE_CURSOR
	atomic { o = cur; cur = target; late[r] = cur + 1 };
#else
	atomic { o = cur; cur = target; cursor[r] = cur };
#endif
	lookAtProducer()
}

/* Consumer.Release of a hazard pointer: an exchange. A load of producer_waiting follows. */
inline unpin()
{
	atomic { pins[r] = 0; v = 0 };
	if
#ifndef MUT_UNPIN_NO_WAKE
	:: pw == ANY -> ctl_same = 0; pasleep = 0
#endif
	:: else
	fi
}

/* Goes from `commit`, which lags, to one past the newest id in the ring. */
inline walk()
{
	atomic { loadCommit(c) };
#ifndef MUT_WALK_TRUSTS_COMMIT
	do
	:: atomic {
		v = ent[AT(0, c)];
		if
		:: TAG(v) > c -> c = TAG(v); v = 0
		:: else -> v = 0; break
		fi
	   }
	od
#endif
}

/* Message cur is in the ring; it was overwritten or reclaimed. */
#ifdef RECLAIM
#define PRESENT (TAG(v) == cur + 1 && !IS_RECLAIMED(v))
#define GONE (TAG(v) > cur + 1 || (TAG(v) == cur + 1 && IS_RECLAIMED(v)))
#else
#define PRESENT (TAG(v) == cur + 1)
#define GONE (TAG(v) > cur + 1)
#endif

/* Segment.OldestFrom: c becomes the oldest id from `from` on that is present, when c is the next
 * one. Reclaimed messages are passed over. */
inline oldestFrom(from)
{
#ifdef RECLAIM
	atomic { e = c; c = AFTER(c); if :: c < from -> c = from :: else fi };
	do
	:: atomic {
		if
		:: c < e ->
			v = ent[AT(0, c)];
			if
			:: TAG(v) == c + 1 && IS_RECLAIMED(v) -> v = 0; c++
			:: else -> v = 0; e = 0; break
			fi
		:: else -> e = 0; break
		fi
	   }
	od
#else
	atomic { c = AFTER(c) }
#endif
}

/* OpenConsumer: liveness lease, complete cleaning of the row, identity, cursor, hazard pointers,
 * mask bits. */
inline attach()
{
	d_step { rowlock[r] == 0 && START_OK -> rowlock[r] = me };
#ifdef LEFTOVERS
#ifndef MUT_ATTACH_WITHOUT_CLEANING
	maskL = maskL & ~BIT(r);
	maskP = maskP & ~BIT(r);
#ifndef MUT_ATTACH_NO_WAKE
	wakeProducer();
#endif
#endif
	status[r] = me;
#ifndef MUT_ATTACH_KEEPS_PINS
	pins[r] = 0;
#endif
#endif
	atomic { cursor[r] = 0 }
}
#define SET_ACTIVE maskP = maskP | BIT(r)
#define SET_LOSSLESS maskL = maskL | BIT(r)

/* Steps 3 to 5 of a hold, for the entry v that was loaded after scan_epoch. Jumps to `again` if the
 * hold fails. */
inline hold()
{
	pins[r] = SLOT(v) + 1;					/* Consumer.hold 3 */
#ifndef MUT_NO_RECHECK
	if							/* Consumer.hold 4 */
	:: (ent[AT(0, TAG(v) - 1)] & ~FENCE) == (v & ~FENCE)
	:: else ->
		if						/* Consumer.hold 5 */
		:: scan_same & BIT(r)
		:: else -> unpin(); goto again
		fi
	fi;
#endif
	skip
}

#ifdef PAYLOAD
#define READ_1 assert(w1[SLOT(v)] == TAG(v))	/* no torn payload is read */
#define READ_2 assert(w2[SLOT(v)] == TAG(v))
#else
#define READ_1 skip
#define READ_2 skip
#endif

/* Consumer.wait. The first call arms the wait, and the caller polls again. The second call
 * checks the state, then sleeps. If the state says that the block has ended, the caller polls
 * the entry once more. Jumps to `again` or `leave`. */
inline wait(enough)
{
	if
	:: !armed ->
#ifndef MUT_EVENT_AFTER_LOOK
		event_same = event_same | BIT(r);
#endif
#ifdef MUT_LOOK_BEFORE_BIT
		armed = 1;
#else
		atomic { waiting = waiting | BIT(r); armed = 1 };
#endif
		goto again
	:: armed ->
		atomic {
			if
			:: state[0] == CLOSED || state[0] == SUPERSEDED -> ending = 1; goto again
			:: else
			fi
		};
#ifdef MUT_LOOK_BEFORE_BIT
		waiting = waiting | BIT(r);
#endif
#ifdef MUT_EVENT_AFTER_LOOK
		event_same = event_same | BIT(r);
#endif
		atomic {
			armed = 0;
			if
			:: event_same & BIT(r) -> asleep = asleep | BIT(r)
			:: else -> asleep = asleep & ~BIT(r); goto again
			fi
		};
		if
		:: !(asleep & BIT(r)) -> goto again
		:: atomic { (asleep & BIT(r)) && TIMEOUT(BIT(r)) -> asleep = asleep & ~BIT(r); TOOK_TIMEOUT(BIT(r));
		           goto again }
		:: atomic { NO_PRODUCER && (enough) -> asleep = asleep & ~BIT(r); goto leave }
		fi
	fi
}

#ifdef ALLOWANCE
byte admitted;		/* checker: rows that may hold by a hazard pointer */
#define ADMITTED assert(!admitted); admitted = BIT(r)	/* a slot is left for the producer */
#define NOT_ADMITTED admitted = admitted & ~BIT(r)
#else
#define NOT_ADMITTED skip
#endif

/* Consumer.Close: clear the bits, wake a waiting producer, clear the identity, release the
 * lease. */
inline close()
{
#ifdef MUT_LEAVE_NO_WAKE
	maskL = maskL & ~BIT(r);
	maskP = maskP & ~BIT(r);
#else
	if
	:: maskL & BIT(r) -> maskL = maskL & ~BIT(r)
	:: else
	fi;
	atomic { maskP = maskP & ~BIT(r); NOT_ADMITTED };
	wakeProducer();
#endif
	status[r] = 0;
	atomic {
		ENDS;
		cur = 0; armed = 0; ending = 0; started = 0; cursor[r] = 0;
		waiting = waiting & ~BIT(r); event_same = event_same & ~BIT(r); scan_same = scan_same & ~BIT(r)
	}
}

#define MAY_LEAVE :: LEAVERS & BIT(me) -> goto leave
#ifdef RECLAIM
#define RECLAIM_VARIABLES byte e;
#define FORGET_END e = 0;
#else
#define RECLAIM_VARIABLES
#define FORGET_END
#endif
#define FORGET FORGET_END cur = 0; v = 0; o = 0; c = 0; armed = 0; ending = 0; started = 0

#ifdef WITH_Lossless
proctype Lossless(byte me; byte r; byte start)
{
	byte cur, v, o, c, jo;
	RECLAIM_VARIABLES
	bit armed, ending, started, settling;

	{
	attach();
	if
	:: start == NEWEST ->
		/* Consumer.joinLatest. The bits come first. So this load finds every message that a
		 * producer publishes without having seen the bits. */
		o = published[0];
		SET_ACTIVE;
#ifndef MUT_JOIN_BIT_LAST
		SET_LOSSLESS;
#endif
		walk();
		atomic {
			assert(c >= o && c <= published[0]);	/* the next message committed after the attach */
			started = 1
		};
#ifdef MUT_JOIN_NO_WAKE
		d_step { cur = c; c = 0; o = 0; cursor[r] = cur };
#else
		advance(c);
#endif
#ifdef MUT_JOIN_BIT_LAST
		SET_LOSSLESS;
#endif
		c = 0
	:: start == OLDEST ->
		/* Consumer.joinAt */
		walk();
#ifdef RECLAIM
		oldestFrom(0);
		atomic { cur = c; c = 0; cursor[r] = cur };
#else
		atomic { cur = AFTER(c); c = 0; cursor[r] = cur };
#endif
		SET_ACTIVE;
		SET_LOSSLESS;
		d_step { join_epoch++; jo = join_epoch }
	fi;

again:
	atomic {
		if
		MAY_LEAVE
		:: !jo ->				/* Consumer.nextLossless */
			v = ent[AT(0, cur)];
			if
			:: PRESENT ->
				started = 1; settling = 0; armed = 0; ending = 0;
				if
				:: v & LOST -> assert(lost & BIT(cur)); goto taken
				:: else -> goto take
				fi
			:: GONE ->
				v = 0;
				assert(settling);	/* OVERRUN: a LOSSLESS reader loses a committed message */
				goto jump
			:: else -> v = 0;
				if
				:: ending ->
					assert(cur == published[0]);	/* a LOSSLESS reader loses no committed message */
					if :: state[0] == SUPERSEDED -> told_end = 1 :: else fi;
					goto leave
				:: else -> goto nothing
				fi
			fi
		:: jo ->				/* as ORDERED until the epoch is acknowledged */
			if
			:: join_ack >= jo ->
				jo = 0;
#ifndef MUT_JOIN_NEVER_SETTLES
				settling = !started;
#endif
				goto again
			:: else
			fi
		fi
	};
	scan_same = scan_same | BIT(r);			/* Consumer.hold 1 */
	atomic {
		v = ent[AT(0, cur)];			/* Consumer.hold 2 */
		if
		:: PRESENT -> armed = 0; ending = 0
		:: GONE -> v = 0; goto jump
		:: else -> v = 0;
			if
			:: ending -> assert(cur == published[0]); goto leave
			:: else -> goto nothing
			fi
		fi
	};
	hold();
	READ_1;
	atomic { READ_2; started = 1 };
	unpin();
	advance(cur + 1);
	goto again;

take:
	READ_1;
#ifdef MUT_CURSOR_RUNS_AHEAD
	cursor[r] = cur + 2;
#endif
	atomic {
		READ_2;
		assert((maskL & maskP & BIT(r)) && rowlock[r] == me)	/* no living row is cleaned */
	};
taken:
	v = 0;
	advance(cur + 1);
	goto again;

jump:	/* The reader was overtaken before the acknowledgement: only its start moves. */
	assert(!started);
	walk();
	oldestFrom(cur);
	advance(c);
	c = 0;
	goto again;

nothing:
	wait(cur == published[0]);
leave:
	close()
	} unless {
		atomic { DIES; FORGET; jo = 0; settling = 0 }
	}
}
#endif

#ifdef WITH_Ordered
proctype Ordered(byte me; byte r; byte start)
{
	byte cur, v, o, c;
	RECLAIM_VARIABLES
	bit armed, ending, started;

	{
	attach();
	SET_ACTIVE;
	walk();
#ifdef RECLAIM
	if
	:: start == OLDEST -> oldestFrom(0)
	:: else
	fi;
	atomic { cur = c; c = 0 };
#else
	atomic { cur = (start == NEWEST -> c : AFTER(c)); c = 0 };
#endif

again:
	atomic {
		if
		MAY_LEAVE
		:: scan_same = scan_same | BIT(r)	/* Consumer.hold 1 */
		fi
	};
	atomic {
		v = ent[AT(0, cur)];			/* Consumer.hold 2 */
		if
		:: PRESENT -> armed = 0; ending = 0
		:: GONE -> v = 0; goto jump
		:: else -> v = 0;
			if
			:: ending -> assert(cur == published[0]); goto leave
			:: else -> goto nothing
			fi
		fi
	};
	if
	:: v & LOST -> assert(lost & BIT(cur)); v = 0
	:: else ->
		hold();
		READ_1;
		READ_2;
		unpin()
	fi;
	cur++;
	goto again;

jump:	/* The reader was overtaken: it jumps to the oldest message and reports the others as missed. */
	walk();
#ifdef RECLAIM
	oldestFrom(cur);
	atomic { cur = c; c = 0; goto again };
#else
	atomic { assert(AFTER(c) > cur); cur = AFTER(c); c = 0; goto again };
#endif

nothing:
	wait(true);
leave:
	close()
	} unless {
		atomic { DIES; FORGET }
	}
}
#endif

#ifdef WITH_Latest
proctype Latest(byte me; byte r)
{
	byte cur, v, o, c;
	RECLAIM_VARIABLES
	bit armed, ending, started;

	{
	attach();
#ifdef MUT_SPARE_CHECKED_FIRST
	atomic { if :: maskP -> goto leave :: else -> ADMITTED fi };
#endif
	SET_ACTIVE;
#if defined(ALLOWANCE) && !defined(MUT_SPARE_CHECKED_FIRST)
	/* One hazard pointer is allowed in all: NO_SPARE when another row is active too. */
	atomic { if :: maskP & ~BIT(r) -> goto leave :: else -> ADMITTED fi };
#endif

again:
	if
	MAY_LEAVE
	:: walk()
	fi;
older:
	atomic {
		if
		:: c > cur -> scan_same = scan_same | BIT(r)	/* Consumer.hold 1 */
		:: else -> c = 0;
			if
			:: ending -> assert(cur == published[0] || lost); goto leave	/* the newest message was not missed */
			:: else -> goto nothing
			fi
		fi
	};
	atomic {
		v = ent[AT(0, c - 1)];			/* Consumer.hold 2 */
		if
		:: v & LOST -> assert(lost & BIT(TAG(v) - 1)); v = 0; c--; goto older
#ifdef RECLAIM
		:: IS_RECLAIMED(v) -> v = 0; c--; goto older
#endif
		:: else -> c = 0; armed = 0; ending = 0
		fi
	};
	hold();
	READ_1;
	atomic {
		READ_2;
		assert(TAG(v) > cur);			/* LATEST never goes back */
		cur = TAG(v);
#ifdef PAYLOAD
		assert(pins[r] == SLOT(v) + 1 && (maskP & BIT(r)) && rowlock[r] == me)	/* no living row is cleaned */
#endif
	};
	unpin();
	goto again;

nothing:
	wait(true);
leave:
	close()
	} unless {
		atomic { DIES; FORGET }
	}
}
#endif

#ifdef WITH_Follower
/* A LOSSLESS reader that is bound from the start, and whose reads are not modelled. It releases the
 * messages at any time. */
proctype Follower(byte me; byte r; byte cur)
{
	byte o;

#ifdef LATE_FOLLOWER
	d_step { cursor[r] = cur; maskL = maskL | BIT(r); maskP = maskP | BIT(r) };
#endif
end:	do
	:: cur < published[0] -> advance(cur + 1)
	od
}
#endif
