"""The list of deliberately broken builds (`tests.faults.mutations` breaks them and runs the tests)."""
# ruff: noqa: E501 - what stands in the source stands here as it is

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["MUTATIONS", "Mutation"]


class Mutation(NamedTuple):
    """One broken build.

    Attributes:
        name: What is broken, in words.
        path: The file, below the repository.
        old: What stands in it, exactly once.
        new: What takes its place.
        test: The test that sees it.
    """

    name: str
    path: str
    old: str
    new: str
    test: str


MUTATIONS: Final = (
    Mutation(
        "a new file is named before it is flushed",
        "src/threadkeep/backends/local/_aside.py",
        "                if durable:\n                    self._files.fsync(fd)\n",
        "                del durable\n",
        "tests/faults/test_crash_states.py::test_the_power_goes[create a paginated thread]",
    ),
    Mutation(
        "the name of a new file is not flushed",
        "src/threadkeep/backends/local/_aside.py",
        "        if durable:\n            self._files.sync_folder(os.path.dirname(path))\n",
        "        del path, durable\n",
        "tests/faults/test_crash_states.py::test_the_power_goes[fork a paginated thread]",
    ),
    Mutation(
        "an append is not flushed",
        "src/threadkeep/backends/local/_append.py",
        "            self._files.fsync(fd)\n",
        "            self._files.fstat(fd)\n",
        "tests/faults/test_crash_states.py::test_the_power_goes[append to a paginated thread]",
    ),
    Mutation(
        "a replacement is renamed before it is flushed",
        "src/threadkeep/backends/local/_aside.py",
        "        aside = self._written(path, pieces, durable=True, times=None)\n",
        "        aside = self._written(path, pieces, durable=False, times=None)\n",
        "tests/faults/test_crash_states.py::test_the_power_goes[delete and reclaim]",
    ),
    Mutation(
        "a replacement's name is not flushed",
        "src/threadkeep/backends/local/_aside.py",
        "        self._settle(path, durable=True)\n",
        "        self._settle(path, durable=False)\n",
        "tests/backends/local/test_durability.py::test_a_replacement_is_flushed_before_it_takes_the_place[False]",
    ),
    Mutation(
        "the file is not compared with its path",
        "src/threadkeep/backends/local/_append.py",
        "        if (facts.st_dev, facts.st_ino) != self._identity:\n",
        "        if facts.st_dev != self._identity[0]:\n",
        "tests/backends/test_append.py::test_nothing_is_acknowledged_in_a_file_that_was_replaced[True]",
    ),
    Mutation(
        "the lock file is not compared with its name",
        "src/threadkeep/backends/local/_lock.py",
        "        if facts is None or (facts.st_dev, facts.st_ino) != self._identity:\n",
        "        if facts is None or facts.st_dev != self._identity[0]:\n",
        "tests/backends/local/test_leases.py::test_a_lease_whose_lock_file_was_replaced_is_lost[replaced]",
    ),
    Mutation(
        "an append is acknowledged before it is flushed",
        "src/threadkeep/store/_writer.py",
        "            appender.flush()\n",
        "            del appender\n",
        "tests/faults/test_crash_states.py::test_the_power_goes[append to a paginated thread]",
    ),
    Mutation(
        "marks are not flushed",
        "src/threadkeep/backends/local/_marks.py",
        "                    self._files.flush(fd)\n",
        "                    pass\n",
        "tests/faults/test_crash_states.py::test_the_power_goes[set git facts]",
    ),
    Mutation(
        "the name of the marks is not flushed",
        "src/threadkeep/backends/local/_marks.py",
        "                    self._files.sync_folder(self._folder)\n",
        "                    pass\n",
        "tests/backends/local/test_durability.py::test_marks_names_and_pins_are_flushed_with_their_folders",
    ),
    Mutation(
        "names are not flushed",
        "src/threadkeep/backends/local/_codex.py",
        "                self._files.flush(fd)\n",
        "                pass\n",
        "tests/faults/test_crash_states.py::test_the_power_goes[rename]",
    ),
    Mutation(
        "after a failed flush the cache is believed",
        "src/threadkeep/backends/local/_files.py",
        "                self.drop_cache(fd)\n",
        "                pass\n",
        "tests/faults/test_crash_states.py::test_a_flush_fails_and_later_the_power_goes[set git facts-tried again]",
    ),
    Mutation(
        "after a failed flush the writer goes on",
        "src/threadkeep/backends/local/_append.py",
        "                self._dead = self._examine(failure)\n                raise self._dead from failure\n",
        "                raise self._examine(failure) from failure\n",
        "tests/backends/test_append.py::test_after_a_failed_flush_the_writer_is_dead_and_says_what_stands",
    ),
    Mutation(
        "what a child inherits is not flushed",
        "src/threadkeep/store/_forks.py",
        "        holder.flush(ref)\n        _flush_ancestors",
        "        _flush_ancestors",
        "tests/faults/test_crash_states.py::test_a_child_inherits_nothing_that_a_power_cut_can_take[fork a paginated thread]",
    ),
    Mutation(
        "what a child of a child inherits is not flushed",
        "src/threadkeep/store/_forks.py",
        "        _flush_ancestors(access, backend, lineage, point.segment)\n",
        "        pass\n",
        "tests/store/test_what_cannot_be_read.py::test_a_fork_of_a_fork_that_codex_made_flushes_all_that_it_inherits",
    ),
    Mutation(
        "new folders are not flushed",
        "src/threadkeep/backends/local/_folders.py",
        "                        self._files.sync_folder(above)\n",
        "                        pass\n",
        "tests/faults/test_crash_states.py::test_the_power_goes[create a paginated thread]",
    ),
    Mutation(
        "a move is flushed in neither folder",
        "src/threadkeep/backends/local/_backend.py",
        "            self.files.sync_folder(os.path.dirname(target))\n            self.files.sync_folder(os.path.dirname(source))\n",
        "            pass\n",
        "tests/faults/test_crash_states.py::test_the_power_goes[archive]",
    ),
    Mutation(
        "both names that a move may leave are two rollouts",
        "src/threadkeep/store/_access.py",
        "{backend.stat(ref).identity for ref in refs}",
        "{ref.location for ref in refs}",
        "tests/faults/test_crash_states.py::test_the_power_goes[archive]",
    ),
    Mutation(
        "the second name that a move left is not erased from",
        "src/threadkeep/backends/local/_second_names.py",
        "                home.files.unlink(path)\n",
        "",
        "tests/store/test_moved_meanwhile.py::test_both_names_that_a_power_cut_left_of_a_move_are_one_rollout[erase]",
    ),
    Mutation(
        "a compressed rollout that is appended to keeps its second name",
        "src/threadkeep/backends/local/_backend.py",
        "            drop_second_names(self, ref)\n            fd = ",
        "            fd = ",
        "tests/store/test_moved_meanwhile.py::test_a_compressed_rollout_under_two_names_goes_on_in_one_file",
    ),
    Mutation(
        "who had to wait takes back the names that a later one saw",
        "src/threadkeep/backends/local/_names.py",
        "if any(db.execute(query, (folder,)).fetchone() != before for folder, before in held.items()):",
        "if False:",
        "tests/backends/local/test_names_beside.py"
        "::test_what_a_process_saw_that_had_to_wait_hides_no_thread_from_another",
    ),
    Mutation(
        "the name that Codex looks for goes, of two",
        "src/threadkeep/backends/local/_second_names.py",
        "is not None and is_second_name(home, pointed, ref)",
        "is not None and False",
        "tests/store/test_doctor.py::test_of_two_names_the_one_that_codex_looks_for_stays[doctor]",
    ),
    Mutation(
        "a deletion is forgotten before it is on the disk",
        "src/threadkeep/store/_doctor.py",
        "not (unused or marked)",
        "not unused",
        "tests/store/test_doctor.py::test_what_is_remembered_of_a_deleted_thread_goes_after_its_removal_is_on_the_disk",
    ),
    Mutation(
        "bytes that were erased meanwhile are sealed as the right ones",
        "src/threadkeep/store/_verify_inherited.py",
        "if _seal_of(source, seal.end, told) == seal:",
        "if True:",
        "tests/store/test_erase.py::test_bytes_that_were_erased_while_they_were_verified_first_are_not_sealed[local]",
    ),
    Mutation(
        "what was erased may come back from the journal",
        "src/threadkeep/store/_erase.py",
        "        access.backend.settle()",
        "        pass",
        "tests/store/test_erase.py::test_no_power_cut_brings_back_what_was_erased",
    ),
    Mutation(
        "a base goes before the removal of its heir is flushed",
        "src/threadkeep/store/_deletion.py",
        "            access.backend.settle()",
        "            pass",
        "tests/store/test_what_cannot_be_read.py::"
        "test_what_an_heir_needs_whose_removal_was_not_flushed_goes_after_it_for_good",
    ),
    Mutation(
        "a removal is not flushed",
        "src/threadkeep/backends/local/_backend.py",
        "                    self.files.unlink(form)\n            self.files.sync_folder(os.path.dirname(path))\n",
        "                    self.files.unlink(form)\n",
        "tests/faults/test_crash_states.py::test_the_power_goes[delete a leaf]",
    ),
    Mutation(
        "an unpacked rollout is not flushed before the compressed one goes",
        "src/threadkeep/backends/local/_backend.py",
        "                    self._aside.create(plain, pieces, durable=True, times=times)\n",
        "                    self._aside.create(plain, pieces, durable=False, times=times)\n",
        "tests/faults/test_crash_states.py::test_the_power_goes[unpack and append]",
    ),
    Mutation(
        "a torn tail is not closed",
        "src/threadkeep/backends/local/_append.py",
        "                if self._torn:\n",
        "                if False:\n",
        "tests/faults/test_crash_states.py::test_the_power_goes[append after a torn tail]",
    ),
    Mutation(
        "torn marks are not closed",
        "src/threadkeep/backends/local/_marks.py",
        'b"\\n" + data if torn else data',
        "data",
        "tests/faults/test_crash_states.py::test_the_power_goes[set git facts]",
    ),
    Mutation(
        "torn names are not closed",
        "src/threadkeep/backends/local/_codex.py",
        'b"\\n" + line if torn else line',
        "line",
        "tests/faults/test_crash_states.py::test_the_power_goes[rename]",
    ),
    Mutation(
        "a rollout that was refused stays",
        "src/threadkeep/backends/local/_aside.py",
        "            self._drop(path)  # it was refused, so nobody may find it\n",
        "            pass\n",
        "tests/backends/local/test_durability.py::test_a_rollout_whose_name_could_not_be_flushed_is_not_there",
    ),
    Mutation(
        "what was named goes before what came of it",
        "src/threadkeep/store/_deletion.py",
        "        for step in sorted(heirs_first, key",
        "        for step in sorted(steps, key",
        "tests/faults/test_nth_fault.py::test_every_call_fails[delete with what came of it]",
    ),
    Mutation(
        "a row keeps what went wrong once",
        "src/threadkeep/store/_threads.py",
        "            if row.problem is None:  # what is wrong may be mended without a change of this rollout\n",
        "            if True:\n",
        "tests/store/test_what_cannot_be_read.py::test_a_thread_that_could_not_be_read_once_is_shown_whole_the_next_time",
    ),
    Mutation(
        "heirs that cannot be seen do not count",
        "src/threadkeep/store/_deletion.py",
        "            inheritance.must_be_whole(thread_id)\n            steps",
        "            steps",
        "tests/store/test_what_cannot_be_read.py::test_nothing_is_deleted_or_erased_while_heirs_may_not_be_seen[stat]",
    ),
    Mutation(
        "what a stopped program was writing is not erased from",
        "src/threadkeep/store/_erase.py",
        "            backend.drop_unfinished(location)\n",
        "            pass\n",
        "tests/store/test_erase.py::test_what_a_stopped_program_was_writing_does_not_keep_it[sessions/2026/11/23]",
    ),
    Mutation(
        "bytes are cut before the thread is hidden",
        "src/threadkeep/store/_deletion.py",
        '    if step.planned.action != "remove" or len(step.removed) > 1:\n',
        '    if step.planned.action == "hide" or len(step.removed) > 1:\n',
        "tests/faults/test_crash_states.py::test_the_power_goes[delete and reclaim]",
    ),
    Mutation(
        "a child is made before its base is pinned and flushed",
        "src/threadkeep/store/_forks.py",
        "            _secure(access, backend, lineage, point, thread_id, durability)\n        ref = target.create(thread_id, thread_id, lines, durability=durability, kept=False)\n",
        "            pass\n        ref = target.create(thread_id, thread_id, lines, durability=durability, kept=False)\n        if not ephemeral:\n            _secure(access, backend, lineage, point, thread_id, durability)\n",
        "tests/faults/test_crash_states.py::test_a_child_inherits_nothing_that_a_power_cut_can_take[fork a paginated thread]",
    ),
    Mutation(
        "an error of the system escapes",
        "src/threadkeep/backends/local/_backend.py",
        '        except OSError as error:\n            raise StorageFailure(f"cannot look into the home: {error.strerror}", path=self.home) from error\n\n    @property\n    def catalog',
        '        except ZeroDivisionError as error:\n            raise StorageFailure(f"cannot look into the home: {error}", path=self.home) from error\n\n    @property\n    def catalog',
        "tests/faults/test_nth_fault.py::test_every_call_fails[create a paginated thread]",
    ),
    Mutation(
        "append without fsync",
        "src/threadkeep/backends/local/_append.py",
        "            self._files.fsync(fd)\n        except OSError as failure",
        "            pass\n        except OSError as failure",
        "tests/faults/test_power_cut.py::test_what_was_acknowledged_before_a_power_cut_is_kept",
    ),
    Mutation(
        "append without fsync",
        "src/threadkeep/backends/local/_append.py",
        "            self._files.fsync(fd)\n        except OSError as failure",
        "            pass\n        except OSError as failure",
        "tests/faults/test_simulation.py::test_no_history_is_one_that_was_not_acknowledged",
    ),
    Mutation(
        "acknowledged before it is written",
        "src/threadkeep/backends/local/_append.py",
        "                self._write(fd, line)\n",
        "                threading.Timer(0.02, self._write, (fd, line)).start()\n",
        "tests/faults/test_kill.py::test_what_was_acknowledged_to_a_killed_process_is_kept",
    ),
    Mutation(
        "no lease",
        "src/threadkeep/backends/local/_lock.py",
        "                if not self._files.flock(fd, exclusive=True):\n                    raise self._busy(thread_id, fd)",
        "                self._files.flock(fd, exclusive=True)",
        "tests/faults/test_kill.py::test_what_was_acknowledged_to_a_killed_process_is_kept",
    ),
    Mutation(
        "a dead one's lock file is held",
        "src/threadkeep/backends/local/_lock.py",
        "            fd = self._files.open(path, os.O_RDWR | os.O_CREAT, _LOCK_MODE)\n            try:\n                if not",
        "            fd = self._files.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _LOCK_MODE)\n            try:\n                if not",
        "tests/faults/test_kill.py::test_what_was_acknowledged_to_a_killed_process_is_kept",
    ),
    Mutation(
        "a fork takes the parent's tail",
        "src/threadkeep/store/_forks.py",
        "        return entry.end.rollout, entry.end.offset, False",
        "        return tip.rollout_id, None, True",
        "tests/faults/test_kill.py::test_what_was_acknowledged_to_a_killed_process_is_kept",
    ),
    Mutation(
        "a torn tail is not closed",
        "src/threadkeep/backends/local/_append.py",
        '            self._torn = facts.st_size > 0 and files.pread(self._fd, 1, facts.st_size - 1) != b"\\n"',
        "            self._torn = False",
        "tests/faults/test_kill.py::test_what_was_acknowledged_to_a_killed_process_is_kept",
    ),
    Mutation(
        "marks without a flush",
        "src/threadkeep/backends/local/_marks.py",
        "                    self._files.flush(fd)\n",
        "",
        "tests/faults/test_power_cut.py::test_what_was_acknowledged_before_a_power_cut_is_kept",
    ),
    Mutation(
        "a thread that is moved is not looked for again",
        "src/threadkeep/backends/local/_backend.py",
        "        return there if there is not None and there.location != ref.location else None",
        "        return None",
        "tests/store/test_moved_meanwhile.py::test_it_is_found_where_it_was_moved_to",
    ),
    Mutation(
        "a ring of histories is followed for ever",
        "src/threadkeep/lineage/_lineage.py",
        "        if base.thread_id in self._seen:\n",
        "        if base.thread_id in ():\n",
        "tests/faults/test_fuzz.py::test_hard_inputs[lineage]",
    ),
    Mutation(
        "a link in the place of a rollout or a pin is followed out of the home",
        "src/threadkeep/backends/local/_files.py",
        "            fd = self.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)\n",
        "            fd = self.open(path, flags | os.O_NONBLOCK)\n",
        "tests/faults/test_fuzz.py::test_hard_inputs[pins]",
    ),
    Mutation(
        "a pipe in the place of a small file is waited for",
        "src/threadkeep/backends/local/_files.py",
        "fd = self.open(path, os.O_RDONLY | os.O_NONBLOCK)",
        "fd = self.open(path, os.O_RDONLY)",
        "tests/faults/test_fuzz.py::test_what_broke_once_holds[places/pipe-marks]",
    ),
    Mutation(
        "the whole of a compressed rollout is kept, not its tail",
        "src/threadkeep/backends/local/_source.py",
        "            if len(tail) > 2 * TAIL_BYTES:\n",
        "            if len(tail) > 200 * TAIL_BYTES:\n",
        "tests/faults/test_fuzz.py::test_hard_inputs[zstd]",
    ),
    Mutation(
        "a cursor of another thread is trusted",
        "src/threadkeep/replay/_cursor.py",
        '        if cursor.digest == "" or anchor_digest(segment, cursor.anchor) != cursor.digest:\n',
        "        if False:\n",
        "tests/faults/test_fuzz.py::test_hard_inputs[cursors]",
    ),
    Mutation(
        "a cursor nested without end ends the request",
        "src/threadkeep/replay/_cursor_text.py",
        "msgspec.MsgspecError, RecursionError) as error",
        "msgspec.MsgspecError) as error",
        "tests/faults/test_fuzz.py::test_what_broke_once_holds[cursors/nested-without-end]",
    ),
    Mutation(
        "a row of the catalog leads anywhere",
        "src/threadkeep/backends/local/_names.py",
        '    if ".." in folder.split("/") or not f"{folder}/".startswith(tuple(f"{place}/" for place in PLACES)):\n',
        "    if False:\n",
        "tests/faults/test_fuzz.py::test_what_broke_once_holds[catalog/path-out-of-the-home]",
    ),
    Mutation(
        "UTF-8 is not checked",
        "src/threadkeep/records/_record.py",
        "                if line.isascii() or is_utf8(line):\n",
        "                if True:\n",
        "tests/faults/test_damage.py::test_every_kind_of_damage[paginated-invalid-utf8-middle-with SQLite]",
    ),
    Mutation(
        "a path in Codex's index is followed out of the home",
        "src/threadkeep/backends/local/_backend.py",
        "            if relative.split(os.sep, 1)[0] not in PLACES[:2]:\n",
        "            if False:\n",
        "tests/faults/test_fuzz.py::test_hard_inputs[codex-state]",
    ),
    Mutation(
        "whoever loads a damaged thread is not told",
        "src/threadkeep/store/_snapshot.py",
        "not record_of(offset, line).intact",
        "not record_of(offset, line).kind",
        "tests/faults/test_damage.py::test_every_kind_of_damage[paginated-bad-middle-line-with SQLite]",
    ),
    Mutation(
        "records appended to a copied beginning that was cut count as copied",
        "src/threadkeep/store/_writing.py",
        "max(ordinal, copied or 0)",
        "ordinal",
        "tests/faults/test_fuzz.py::test_what_broke_once_holds[appended/copied-beginning-cut-short]",
    ),
    Mutation(
        "what is archived while all folders are read is missed",
        "src/threadkeep/backends/local/_names.py",
        "        if not anyway and self._archived_meanwhile(changed, archive):\n            return False\n",
        "        del archive\n",
        "tests/store/test_moved_meanwhile.py::test_what_is_archived_while_all_folders_are_read_is_not_taken_for_what_it_was[True]",
    ),
    Mutation(
        "who reads beside an erasure does not wait for it",
        "src/threadkeep/store/_reading.py",
        "            except BrokenLineage:\n                break\n",
        "",
        "tests/store/test_moved_meanwhile.py::test_who_reads_beside_an_erasure_waits_for_it[turns]",
    ),
    Mutation(
        "a message that counts for nothing begins a turn",
        "src/threadkeep/replay/_walk.py",
        "                if not (starts_turn(record) or _shows(record)):",
        "                if False:",
        "tests/property/test_found.py::test_pages_of_turns_make_the_whole[a start that is none between a compaction and a legacy turn that nothing starts]",
    ),
    Mutation(
        "marks are made of what was read before",
        "src/threadkeep/backends/local/_marks.py",
        "        def changed() -> _Line | None:\n            self._load()\n",
        "        def changed() -> _Line | None:\n",
        "tests/backends/local/test_marks.py::test_many_processes_write_and_every_line_stands",
    ),
)
