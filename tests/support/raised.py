"""Which test raises which message: by its whole text, or by its beginning up to ` …`.

Each test hears what the product says while it runs (see `conftest.py`) and fails if that sentence is not among it.
"""

from __future__ import annotations

RAISED: dict[str, tuple[str, ...]] = {
    "unit/test_cli_running.py::test_one_that_told_nothing_yet_is_one_that_runs": (
        "A service works on this spool…, but does not answer. Nothing is lost: what is accepted is kept in the spool. …",
    ),
    "contract/test_desk.py::test_long_work_is_a_job_with_a_result[folder]": (
        "Everything is meant, or some of it: not both. Nothing was changed.",
    ),
    "unit/test_spool_repair.py::test_each_wreck_is_mended_once_and_all_reports_are_still_there[folders missing]": (
        "This folder of the spool is missing; a copy of a spool may lack those that were empty.",
    ),
    "unit/test_spool_repair.py::test_each_wreck_is_mended_once_and_all_reports_are_still_there[counter torn]": (
        "The admission counter is missing or torn. It is only a count; every entry is here.",
    ),
    "unit/test_spool_repair.py::test_each_wreck_is_mended_once_and_all_reports_are_still_there[entry closed to us]": (
        "The service's user or the spool's group may not use this as they must: it was put there by another …",
    ),
    "unit/test_spool_repair.py::test_each_wreck_is_mended_once_and_all_reports_are_still_there[sent one copied to tmp]": (
        "A copy of an entry that is in its place, or was delivered. Nobody sends it from here.",
    ),
    "unit/test_spool_repair.py::test_each_wreck_is_mended_once_and_all_reports_are_still_there[edited in failed]": (
        "a refused report that was edited or damaged since: its bytes do not match its name",
    ),
    "unit/test_spool_repair.py::test_nothing_that_has_a_payload_is_ever_unlinked": (
        "A program that is dead was writing this. It holds nothing of a report.",
        "The lock file of a program that is dead and has left nothing behind.",
        "The last line of this file of receipts was cut off in the middle, so it proves nothing. All other …",
        "A whole entry lies where nobody sends it, and is not known anywhere else. As far as is known, it waited.",
        "This entry lies deeper in the folder of its state than anybody looks.",
        "The bytes of this entry do not match its name: it was edited or damaged. It would not be sent so.",
        "The same entry, with the same bytes, is here twice.",
        "What was submitted with an entry that is not here any more. It concerns no data.",
        "A reason whose entry has left. It concerns no data.",
        "Deaths that were counted against an entry which is not here any more. It concerns no data.",
        "The record of a file that was taken from a drop folder long ago, or of which nothing can be read.",
        "An empty folder whose time is over.",
        "what was submitted with an entry that is not here, and was not delivered as far as is known",
        "a worker that is dead had this in hand; nothing is lost (files: …)",
        "a program died while it wrote this; it was never told that it was accepted (files: …)",
    ),
    "unit/test_spool_misplaced.py::test_what_was_taken_out_of_the_queue_is_left_to_a_person[held]": (
        "a whole report that lies outside of all states, where nobody sends it; as far as is known it was in …/ last",
    ),
    "unit/test_spool_proofs.py::test_what_lies_in_sent_without_a_receipt_is_left_to_a_person": (
        "it lies in sent/, and no receipt says that the server has it; it is not sent from there",
    ),
    "unit/test_spool_proofs.py::test_what_is_delivered_and_lies_elsewhere_is_left_to_a_person[failed]": (
        "the server has it since …, as a receipt says; all the same it lies in …/…",
    ),
    "unit/test_spool_misplaced.py::test_nobody_is_told_to_move_a_whole_report_out_of_the_spool[locks/strikes]": (
        "a whole report, and nobody sends it from there",
    ),
    "unit/test_spool_misplaced.py::test_nobody_is_told_to_move_a_whole_report_out_of_the_spool[receipts/old]": (
        "a folder with whole reports in it, and nobody sends them from there",
    ),
    "unit/test_spool_foreign.py::test_a_copy_that_a_file_manager_named_is_not_sent_twice[pending-Copy of ]": (
        "a copy of a report that is known here, under a longer name; it is not sent a second time",
    ),
    "unit/test_spool_misplaced.py::test_what_is_delivered_and_has_expired_is_left_to_a_person": (
        "a whole report that lies outside of all states; it was delivered, and has expired since",
    ),
    "unit/test_spool_misplaced.py::test_a_report_whose_copy_was_set_aside_does_not_follow_it": (
        "a whole report, of which nothing else is here but the copy …, which was set aside for this one",
    ),
    "unit/test_spool_repair.py::test_a_copy_of_what_is_delivered_and_expired_is_kept_as_such": (
        "A copy of a report that was delivered; its receipt is held. Nothing is lost.",
    ),
    "unit/test_spool_verify_all.py::test_each_difference_of_the_books_is_named_with_its_id[removed]": (
        "It came in, is not here, and no receipt says that the server has it. Last seen: ….",
    ),
    "unit/test_spool_verify_all.py::test_what_may_lie_in_a_folder_that_cannot_be_read_is_not_called_missing": (
        "It may well lie in a folder that cannot be read. Last seen: …. Nobody knows of it now.",
    ),
    "unit/test_spool_verify_all.py::test_each_difference_of_the_books_is_named_with_its_id[renamed]": (
        "It waits in pending/ under a longer name, as file managers give it to copies. Nothing is lost.",
    ),
    "unit/test_spool_verify_all.py::test_each_difference_of_the_books_is_named_with_its_id[no line]": (
        "It is here, and the history does not say that it came: a crash took that line, or it was put here …",
    ),
    "unit/test_spool_verify_all.py::test_each_difference_of_the_books_is_named_with_its_id[sent back]": (
        "A receipt says that the server has it since …; all the same it lies in …/.",
    ),
    "unit/test_spool_verify_all.py::test_each_difference_of_the_books_is_named_with_its_id[other bytes]": (
        "A receipt proves the delivery of other bytes under this id. This one is not delivered, and is kept.",
    ),
    "unit/test_spool_verify_all.py::test_each_difference_of_the_books_is_named_with_its_id[pause]": (
        "What is paused cannot be read, and that counts as a pause of everything. Nothing is lost.",
    ),
    "unit/test_spool_verify_all.py::test_each_difference_of_the_books_is_named_with_its_id[stations]": (
        "Which station's spool this was cannot be read: all is sent under the name that is set now.",
    ),
    "contract/test_desk.py::test_figures_folders_and_status_are_there_with_and_without_a_service[folder]": (
        "The destination cannot be tried from here. Nothing was changed.",
    ),
    "contract/test_desk.py::test_what_is_no_place_in_a_list_is_refused[folder-../../etc]": (
        "… is no place in a list of entries, such as pending/20261123T140000-000/. Nothing was changed.",
    ),
    "contract/test_desk.py::test_what_is_no_place_in_a_list_is_refused[folder-sent/]": (
        "The list is to go on in …, and that is none of the states that are chosen. Nothing was changed.",
    ),
    "contract/test_desk.py::test_another_order_is_found_in_a_job_and_reaches_so_far[folder]": (
        "A sorted list has its first … entries at most. Nothing was changed.",
    ),
    "contract/test_desk.py::test_looking_through_entries_ends_when_its_time_is_over": (
        "There are more entries than can be looked through in … s; … were. Nothing was changed.",
    ),
    "contract/test_workers_checkup.py::test_what_is_configured_wrong_is_told_before_anything_is_tried": (
        "destination.url is not set, so there is nothing to try. What is accepted waits in the spool.",
    ),
    "service/test_supervisor.py::test_what_a_person_asks_of_its_loop_is_done_or_refused_with_an_answer": (
        "There is no worker …. Nothing was changed.",
    ),
    "unit/test_spool_export.py::test_what_a_dying_disk_will_not_read_is_listed_and_the_rest_is_there[out]": (
        "It cannot be read (…). It is untouched, and not in the export; the rest goes on.",
        "What was submitted with it cannot be read (…). Its payload alone is in the export.",
    ),
    "unit/test_cli_carrying.py::test_what_cannot_be_read_is_named_and_makes_it_end_with_1": (
        "It is not in this export, or not all of it, as its manifest says: …",
    ),
    "unit/test_cli_carrying.py::test_what_is_no_copy_is_a_mistake_and_changes_nothing[command0]": (
        "… is this spool itself: all of it is here. Nothing was changed.",
    ),
    "unit/test_cli_carrying.py::test_an_entry_that_is_not_in_the_state_named_is_not_exported": (
        "… is in … and not in …. Nothing was exported.",
    ),
    "unit/test_cli_moving.py::test_each_of_the_six_moves_from_every_state_of_the_table_and_no_other[readmit]": (
        "… was readmitted, and is … now. Nothing was changed.",
    ),
    "unit/test_cli_main.py::test_a_folder_of_the_spool_that_is_missing_is_named_with_what_makes_it[locks]": (
        "The folder …/ of the spool … is missing. …",
    ),
    "unit/test_spool_repair.py::test_the_commands_of_an_undo_list_are_told_as_they_are_typed": (
        "… is no undo list. Nothing was changed.",
    ),
    "unit/test_cli_carrying.py::test_an_import_names_what_its_export_lacks": (
        "Nothing of this folder of the spool is in this export, as its manifest says: it was left out there.",
    ),
    "unit/test_cli_carrying.py::test_receipts_that_cannot_be_read_are_named": (
        "…/… cannot be read: what was delivered, by the receipts in it, is not finished here.",
    ),
    "unit/test_cli_carrying.py::test_an_unfinished_export_is_not_sent_under_another_stations_name": (
        "… is an export that was not finished, so nothing in it says which station its reports are from. Nothing was changed.",
    ),
    "unit/test_cli_carrying.py::test_an_export_tells_of_words_and_stations_that_it_could_not_read": (
        "Whose reports these are cannot be read (…). They are in it, without their station's name.",
        "The file that says why it is there cannot be read (…). It is in the export without that.",
    ),
    "unit/test_cli_unread.py::test_every_command_names_it_and_ends_with_1[list]": (
        "The folder … cannot be read (…). Nobody knows what is in it: it was left out here. Nothing was deleted.",
    ),
    "unit/test_cli_unread.py::test_one_that_is_not_found_may_lie_there": (
        "No entry in the folders that can be read has an id that begins with …. Nothing was changed.",
    ),
    "unit/test_spool_export.py::test_a_folder_in_the_place_of_an_entry_is_named_as_missing[hold]": (
        "A folder lies where its file should be, and its file is not in the export.",
    ),
    "unit/test_spool_verify.py::test_each_difference_is_found_once_with_its_meaning_and_a_remedy[a folder for an entry]": (
        "a folder where a report's file should be; that file is not seen, and not sent",
    ),
    "unit/test_spool_export.py::test_a_folder_that_cannot_be_listed_is_not_taken_for_empty": (
        "Left out: …. Nobody knows what is in that folder, and nothing of it is in the export.",
    ),
    "unit/test_spool_importing.py::test_a_folder_that_cannot_be_read_is_not_taken_for_empty": (
        "This folder cannot be read. Nobody knows what is in it, and nothing of it was taken.",
    ),
    "unit/test_spool_export.py::test_one_that_was_edited_is_there_as_it_is_and_told": (
        "Its bytes are not those that were accepted. It is in the export as it is, and listed as damaged.",
    ),
    "unit/test_spool_export.py::test_on_fat_what_is_too_large_is_told": (
        "It has 4 GiB or more, which a FAT file system cannot hold. It is untouched, and not in the export.",
        "… would have more than 4 GiB, which a FAT file system cannot hold. …",
    ),
    "unit/test_spool_export.py::test_nothing_is_overwritten_and_two_do_not_write_one_export[out]": (
        "… is there already, and nothing is overwritten. Nothing was changed.",
        "Another program is writing the export … just now. Nothing was changed.",
        "… is there, and is no export that was interrupted. Nothing was changed.",
    ),
    "unit/test_spool_export.py::test_a_place_in_the_spool_or_nowhere_is_refused": (
        "… lies in the spool itself. Nothing was changed.",
        "There is no folder … in which to make the export. Nothing was changed.",
    ),
    "unit/test_spool_export.py::test_a_full_stick_is_told_and_leaves_what_says_that_it_is_not_all[out]": (
        "… could not be written (…). What is there by now is called .incomplete; nothing in the spool was changed.",
    ),
    "unit/test_spool_export.py::test_who_may_not_write_there_is_told_whom_to_ask[out]": (
        "You may not write … (…). Nothing in the spool was changed.",
    ),
    "unit/test_spool_foreign.py::test_a_copy_of_a_reason_is_no_report": (
        "a copy of the reason of a report that is known here; it is no report, and not sent",
    ),
    "unit/test_spool_layout.py::test_a_file_is_no_spool_and_stays_as_it_was": (
        "… is not a folder, so it is no spool. Nothing was changed.",
    ),
    "unit/test_spool_importing.py::test_one_that_counts_as_sent_without_a_receipt_needs_a_person": (
        "It counts as delivered there, and no receipt there says so. It was not taken.",
    ),
    "unit/test_spool_importing.py::test_what_was_damaged_on_the_way_keeps_no_good_copy_out[as_folder]": (
        "Its bytes are not those that were accepted. It was not taken; it is untouched.",
    ),
    "unit/test_spool_importing.py::test_a_refused_one_without_its_reason_says_so": (
        "It was imported in this state, and nothing came with it that says why. Nothing is lost; the file is here.",
    ),
    "unit/test_spool_importing.py::test_what_the_manifest_names_and_what_it_does_not": (
        "The manifest names it, and it is not there. Nothing here was changed for it.",
        "It has no entry's name, so it was not taken. It is untouched.",
    ),
    "unit/test_spool_importing.py::test_a_zip_that_is_damaged_inside_gives_what_is_whole": (
        "…. It was not taken; what can be read goes on.",
    ),
    "unit/test_spool_importing.py::test_a_link_is_not_followed": (
        "In … there is neither an export, nor a spool, nor a file with an entry's name. Nothing was changed.",
    ),
    "unit/test_spool_importing.py::test_a_manifest_of_another_kind_is_refused": (
        "…: its … is damaged, or of another version (…). Nothing was changed.",
    ),
    "unit/test_spool_importing.py::test_what_is_no_export_is_refused[no zip]": (
        "There is nothing at …. Nothing was changed.",
        "… cannot be used: …. Nothing was changed.",
    ),
    "unit/test_spool_receipt_import.py::test_what_this_spool_never_had_is_told": (
        "There is no such entry here, and none was delivered from here. Nothing was changed for it.",
    ),
    "unit/test_spool_receipt_import.py::test_other_bytes_than_those_delivered_are_not_finished": (
        "The entry with that id has other bytes here than those delivered, or cannot be read. It is left as it is.",
    ),
    "unit/test_spool_receipt_import.py::test_one_that_a_person_has_sent_again_is_not_finished_by_this_spools_own_old_receipt": (
        "It was delivered from here before, and somebody has had it sent again since. It is left as it is.",
    ),
    "contract/test_deliver_from.py::test_meta_that_is_damaged_is_not_sent_without": (
        "What was submitted with entry … is damaged, or cannot be read (…). It was not sent.",
    ),
    "contract/test_deliver_from.py::test_what_cannot_take_receipts_is_refused_before_anything_is_sent": (
        "… is a .zip, into which no receipts can be written. Nothing was sent.",
        "Delivery from … is paused …. Nothing was sent.",
        "A service is at work on the spool …, and delivers it itself. Nothing was sent.",
        "No receipts can be written into … (…). Nothing was sent.",
    ),
    "contract/test_desk.py::test_what_is_carried_away_comes_in_again_as_jobs[folder]": (
        "… is not an absolute path, and the service has no working folder of yours. Nothing was changed.",
    ),
    "unit/test_desk_jobs.py::test_no_more_run_at_once_than_may": (
        "… jobs run already, and no more may at once. Nothing was changed.",
    ),
    "unit/test_desk_jobs.py::test_one_user_leaves_places_to_others_and_what_he_cancelled_does_not_count": (
        "… jobs of … run already, and one user may have no more at once. Nothing was changed.",
    ),
    "unit/test_desk_jobs.py::test_nothing_is_begun_while_the_service_stops": (
        "The service stops, so nothing long is begun any more. Nothing was changed.",
    ),
    "unit/test_desk_jobs.py::test_a_thread_that_cannot_be_had_takes_no_place": (
        "The system has no room for another thread (…). Nothing was changed.",
    ),
    "unit/test_ipc_methods.py::test_a_pool_that_is_full_says_so_and_what_is_late_is_forgotten": (
        "So much is asked of the service that … was not begun. Nothing was changed.",
    ),
    "unit/test_desk_jobs.py::test_the_end_of_a_job_is_told_for_ten_minutes": (
        "There is no job …; one that has ended is known for … minutes.",
    ),
    "unit/test_health.py::test_a_port_that_another_program_has_is_a_reason_and_tried_again": (
        "Other programs cannot ask the service for its health and figures. Deliveries go on; it is tried again.",
    ),
    "unit/test_health.py::test_without_its_library_metrics_say_what_to_install_and_the_rest_works": (
        "Metrics need prometheus-client, which is not installed. /healthz and /readyz work without it.",
    ),
    "unit/test_ipc_methods.py::test_a_disk_that_hangs_is_told_in_time_and_its_late_answer_is_dropped": (
        "The service found no answer to … within 10 s. What it has begun goes on.",
    ),
    "unit/test_ipc_methods.py::test_a_line_that_died_is_shown_and_opened_again": (
        "The command line and the window cannot reach the service. Deliveries go on; it is tried again.",
    ),
    "unit/test_ipc_methods.py::test_a_service_that_answers_otherwise_than_agreed_is_not_believed": (
        "What the service answers to … is not what this program expects: …. Nothing was lost.",
    ),
    "unit/test_ipc_methods.py::test_a_service_that_is_not_there_yet_or_too_busy_says_so": (
        "The service has just begun to start.",
        "The service was asked to …, and has not answered within … s. It may still do it.",
    ),
    "unit/test_ipc_methods.py::test_an_error_that_nobody_expected_is_logged_counted_shown_and_not_told_raw": (
        "… to the service met an unexpected error. Nothing is lost; deliveries go on.",
    ),
    "unit/test_ipc_methods.py::test_what_changes_the_configuration_or_ends_the_service_is_for_administrators": (
        "… is for administrators: root, or the user that the service runs as. Nothing was changed.",
    ),
    "contract/test_ipc.py::TestARequest::test_of_an_unknown_method_names_both_versions": (
        "The service (version …) does not take the request … of this program (version …): …. Nothing was changed.",
    ),
    "contract/test_ipc.py::TestARequest::test_that_broke_its_handler_says_so_without_a_traceback": (
        "The service could not carry out …: …. Nothing was lost.",
    ),
    "contract/test_ipc.py::TestARequest::test_that_fills_more_is_refused_before_it_is_sent": (
        "The request … has … bytes, and … can be sent at once. Nothing was changed.",
    ),
    "contract/test_ipc.py::TestARequest::test_that_gets_no_answer_in_time_may_have_been_done": (
        "The service at … gave no answer to … within … s. It may yet do it.",
    ),
    "contract/test_ipc.py::TestARequest::test_that_the_end_of_the_service_cuts_off_may_have_been_done": (
        "The connection to the service at … broke. It may have done what was asked.",
    ),
    "contract/test_ipc.py::TestARequest::test_with_an_answer_that_fills_more_is_told_so": (
        "The answer has … bytes, and … can be sent at once. Nothing was lost.",
    ),
    "contract/test_ipc.py::TestAServiceThatIsNotThere::test_is_not_confused_with_one_that_speaks_another_protocol": (
        "This program speaks versions … to … of the protocol, and the service speaks …. Nothing was changed.",
    ),
    "contract/test_ipc.py::TestAServiceThatIsNotThere::test_is_told_as_temporary": (
        "The service does not answer at …. Nothing was changed.",
    ),
    "contract/test_ipc.py::TestDeadlines::test_an_answer_that_is_not_found_in_60_s_is_too_late_and_ignored": (
        "The service found no answer to … in time. What it has begun goes on.",
    ),
    "contract/test_ipc.py::TestRefused::test_is_the_ninth_connection_of_a_process_and_none_is_put_out_for_it": (
        "The service has as many connections as it serves at once. Nothing was changed.",
    ),
    "contract/test_ipc.py::TestStopping::test_who_waits_longer_than_a_stop_is_told": (
        "The service was stopped before it had the answer to ….",
    ),
    "contract/test_ipc.py::test_the_stock_listener_s_frames_are_understood_by_the_client_which_believes_no_nonsense": (
        "What answers at … does not speak as Dropsafe does: ….",
    ),
    "contract/test_ipc_pipe.py::test_a_name_that_is_none_of_a_pipe_is_an_error_of_the_configuration": (
        "ipc.address is …, which is no name of a pipe. The service does not listen.",
    ),
    "contract/test_ipc_pipe.py::test_a_pipe_of_another_program_is_left_to_it": (
        "Another program has the pipe … already. Nothing was changed.",
    ),
    "contract/test_ipc_pipe.py::test_a_pipe_that_windows_refuses_is_an_error_of_the_configuration": (
        "The pipe … cannot be made (…). The service does not listen.",
    ),
    "contract/test_ipc_socket.py::TestTheAddress::test_in_a_folder_that_somebody_keeps_locked_is_not_waited_for_for_ever": (
        "Another program keeps the folder … locked, so no socket was made there. Nothing was changed.",
    ),
    "contract/test_ipc_socket.py::TestTheAddress::test_of_a_service_that_listens_is_left_to_it": (
        "Another service answers at … already. Nothing was changed.",
    ),
    "contract/test_ipc_socket.py::TestTheAddress::test_that_cannot_be_had_is_an_error_of_the_configuration[no folder]": (
        "The socket … cannot be made (…). Nothing was changed.",
    ),
    "contract/test_ipc_socket.py::TestTheAddress::test_that_cannot_be_had_is_an_error_of_the_configuration[relative]": (
        "ipc.address is …, which is no absolute path. The service does not listen.",
    ),
    "contract/test_ipc_socket.py::TestTheAddress::test_that_is_too_long_is_told_with_the_limit": (
        "ipc.address … has … bytes; the system takes a socket's path of at most …. The service does not listen.",
    ),
    "contract/test_ipc_socket.py::TestTheAddress::test_that_the_service_may_not_make_is_a_matter_of_permission": (
        "The service may not make its socket … (…). Nothing was changed.",
    ),
    "contract/test_ipc_socket.py::TestTheAddress::test_under_which_something_else_lies_is_left_alone": (
        "…, where the socket of the service belongs, is something else. It was left alone; the service does not listen.",
    ),
    "contract/test_ipc_socket.py::test_who_may_not_connect_is_told_whom_to_ask[False-another user's own]": (
        "The service at … is another user's own. Nothing was changed.",
    ),
    "contract/test_ipc_socket.py::test_who_may_not_connect_is_told_whom_to_ask[True-the members of group]": (
        "The service at … can be used by the members of group …, and you are not in it. Nothing was changed.",
    ),
    "contract/test_workers_engine.py::test_a_spool_that_cannot_be_used_ends_the_work": (
        "The spool's pending/ cannot be read or changed (…). Nothing is lost; nothing can be delivered.",
    ),
    "contract/test_workers_engine.py::test_an_entry_that_kills_threads_again_and_again_has_to_wait": (
        "a connection thread died of it",
    ),
    "contract/test_workers_engine.py::test_damaged_meta_defers_the_entry_by_our_own_fault": (
        "… is damaged (…). The payload of entry … is untouched and stays where it is.",
        "what was submitted with it cannot be read: …",
    ),
    "contract/test_workers_http.py::TestTls::test_an_untrusted_one_is_unavailable": (
        "the server's certificate is from an issuer that this machine does not trust",
    ),
    "contract/test_workers_http.py::test_a_name_that_cannot_be_resolved_is_the_destination_s_fault": (
        "the server's name cannot be resolved",
    ),
    "contract/test_workers_http.py::test_a_server_that_says_nothing_is_timed_out": (
        "the server did not answer in time",
    ),
    "contract/test_workers_http.py::test_the_token_is_sent_and_never_told": ("the credentials are refused",),
    "contract/test_workers_http.py::test_without_an_address_nothing_can_be_delivered": (
        "destination.url is not set, so nothing can be delivered. What is accepted waits in the spool.",
    ),
    "contract/test_workers_http_ways.py::test_a_proxy_that_says_nothing_or_is_not_there_is_told": (
        "no connection to the server",
        "no connection to the proxy",
        "the proxy gets no connection to the server",
    ),
    "contract/test_workers_uploader.py::TestDeliverOnce::test_a_receipt_that_is_not_good_enough_is_75": (
        "the server did not return …, which require_receipt insists on",
    ),
    "contract/test_workers_uploader.py::test_whatever_the_server_does_it_ends_up_with_exactly_what_was_accepted": (
        "the server is not available",
        "the server asks us to slow down",
        "the server failed on it",
    ),
    "service/test_real_servers.py::TestProxy::test_a_proxy_that_does_not_pass_on_to_that_port_alarms": (
        "the proxy refuses to pass on to this server",
    ),
    "service/test_real_servers.py::TestProxy::test_a_proxy_that_gets_no_password_alarms": (
        "the proxy asks for credentials",
    ),
    "service/test_real_servers.py::TestTls::test_an_expired_certificate_of_the_server": (
        "the server's certificate has expired, or is not valid yet",
    ),
    "service/test_real_servers.py::TestTls::test_another_host_than_the_certificate_s": (
        "the server's certificate is for another name than the address has",
    ),
    "service/test_real_servers.py::TestTls::test_no_client_certificate_is_no_fault_of_the_report": (
        "the server wants a certificate of this machine, and has got none that it accepts",
    ),
    "service/test_real_servers.py::TestTls::test_plain_http_to_the_port_of_https_alarms": (
        "the server wants https at that address",
    ),
    "service/test_real_servers.py::test_a_permanent_redirect_on_the_same_server_is_followed_and_one_elsewhere_is_not": (
        "the server could not take it this time",
        "the server sends us elsewhere; the address in the configuration is not the final one",
    ),
    "service/test_secrets_stay_secret.py::test_config_check_speaks_up_where_a_secret_would_travel_in_the_clear_or_not_at_all": (
        "… is not set, and has no default",
        "… is set, but destination.…username is not. Nothing is sent; everything waits.",
    ),
    "service/test_supervisor.py::test_a_critical_worker_that_does_not_stay_up_ends_the_service_in_order": (
        "The … would not stay up for … minutes, so the service has stopped, in order. …",
    ),
    "service/test_supervisor.py::test_an_error_in_a_thread_of_the_supervisor_s_own_is_a_reason": (
        "… of its own that the service did not expect; it goes on. Nothing is lost.",
    ),
    "service/test_supervisor.py::test_a_hanging_worker_writes_its_stack_and_is_replaced": (
        "The … gives no sign of life. It is replaced if that lasts. Nothing is lost.",
    ),
    "service/test_supervisor.py::test_a_service_whose_lock_was_removed_ends_in_words_before_another_begins": (
        "The service had to end. Nothing is lost; entries wait in the spool.",
    ),
    "service/test_supervisor.py::test_a_spool_that_cannot_be_recovered_ends_the_service_and_the_status_stays_to_say_why": (
        "The spool could not be put in order at the start (…). Nothing is lost; entries wait in it.",
    ),
    "service/test_supervisor.py::test_a_stopped_process_is_replaced_too": (
        "The … hangs, or uses too much memory, and is being replaced. Nothing is lost; ….",
        "The … died … and …. Nothing is lost. This is shown until it has run for … s.",
    ),
    "service/test_supervisor.py::test_a_worker_that_always_crashes_is_tried_ever_more_slowly_while_the_others_work": (
        "The … died more than … times in … minutes and is only tried every few minutes. Nothing is lost; …",
    ),
    "service/test_supervisor.py::test_claims_that_cannot_be_returned_are_shown_and_tried_again": (
        "What a worker had in hand when it died could not be moved back to pending/. Nothing is lost; it is tried …",
    ),
    "unit/test_cli_commands.py::test_a_damaged_pause_file_is_shown_and_resume_mends_it": (
        "Delivery is paused …. Nothing was sent or changed; what is accepted waits in the spool.",
        "Delivery is paused by a person. Nothing is lost; what is accepted waits in the spool.",
        "Intake is paused by a person: nothing is taken from drop folders. The files stay where they are.",
    ),
    "unit/test_cli_commands.py::test_deliver_without_a_configuration_says_that_there_is_no_file_and_how_to_name_one": (
        "… is not set: there is no configuration file …. …",
    ),
    "unit/test_cli_commands.py::test_init_refuses_a_malformed_address_before_it_makes_anything": (
        "… must be …; it is …",
    ),
    "unit/test_cli_commands.py::test_other_bytes_are_not_accepted_under_an_id_that_is_known[sent]": (
        "… is not what was accepted before under the id …: its bytes are others. It was not accepted; …",
    ),
    "unit/test_cli_commands.py::test_retry_of_nothing_is_an_error[arguments2]": (
        "Name the entries, or choose them with --all, --state, --matching or --older-than. Nothing was …",
    ),
    "unit/test_cli_commands.py::test_show_of_what_is_no_entry_says_so[]": (
        "No entry in this spool has an id that begins with …. Nothing was changed.",
    ),
    "unit/test_cli_commands.py::test_status_and_list_say_why_in_the_servers_own_words": (
        "… reports were refused by the server. Nothing is lost; they are in failed/.",
    ),
    "unit/test_cli_commands.py::test_status_names_what_does_not_belong_in_the_spool": (
        "… not belong in the spool and … left alone.",
        "not an entry's name",
    ),
    "unit/test_cli_commands.py::test_status_says_what_needs_a_person_and_ends_with_1": (
        "1 report was refused by the server. Nothing is lost; it is in failed/.",
    ),
    "unit/test_cli_commands.py::test_status_says_when_nothing_more_is_accepted": (
        "The queue is full (waiting: …): nothing more is accepted until some are delivered.",
    ),
    "unit/test_cli_commands.py::test_status_tells_what_the_service_goes_by_and_that_the_file_says_something_else_now": (
        "The configuration file was changed; the service goes on with what it read before. Nothing is lost.",
        "A part of the configuration was changed that counts from the next start of the service. Nothing is lost.",
    ),
    "unit/test_cli_commands.py::test_what_a_server_could_not_be_told_is_refused[options1-a name of 1 to]": (
        "A report needs a name of 1 to … characters, not …. It was not accepted.",
    ),
    "unit/test_cli_commands.py::test_what_a_server_could_not_be_told_is_refused[options3-not a content type]": (
        "… is not a content type. It was not accepted.",
    ),
    "unit/test_cli_commands.py::test_what_a_server_could_not_be_told_is_refused[options6-given twice]": (
        "--attribute … was given twice, and has one value. Nothing was accepted.",
    ),
    "unit/test_cli_commands.py::test_what_a_server_could_not_be_told_is_refused[options7-not text with a name]": (
        "The attribute …=… is not text with a name. It was not accepted.",
    ),
    "unit/test_cli_commands.py::test_what_a_server_could_not_be_told_is_refused[options8-travel in one header]": (
        "All attributes travel in one header, in which there is room for … bytes; these take …. It was …",
    ),
    "unit/test_cli_completion.py::test_without_a_spool_it_is_silent": (
        "… is not a spool: it has no spool.json. Nothing was changed.",
    ),
    "unit/test_cli_explain.py::test_it_finds_the_facts_in_the_folder": (
        "The server refused it (…). Nothing is lost; the file is here.",
    ),
    "unit/test_cli_main.py::TestConfigCommand::test_set_refuses_without_touching_or_making_a_file": (
        "`dropsafe config …` does not take …",
        "… must be between … and …, not …",
    ),
    "unit/test_cli_main.py::TestContext::test_an_impossible_instance_is_refused": (
        "… cannot be the name of an instance",
    ),
    "unit/test_cli_main.py::TestContext::test_warnings_and_the_fallback_are_told_once": (
        "…, line …: …",
        "there is no configuration key …",
    ),
    "unit/test_cli_main.py::test_each_error_has_its_words_and_exit_code[error10-2-words10]": (
        "That path cannot be used: …",
        "… cannot be used: …",
    ),
    "unit/test_cli_main.py::test_each_error_has_its_words_and_exit_code[error4-77-words4]": ("No permission: …",),
    "unit/test_cli_main.py::test_each_error_has_its_words_and_exit_code[error5-75-words5]": ("The disk is full: …",),
    "unit/test_cli_main.py::test_each_error_has_its_words_and_exit_code[error7-73-words7]": (
        "The disk can only be read: …",
    ),
    "unit/test_cli_main.py::test_each_error_has_its_words_and_exit_code[error9-75-words9]": (
        "The system is short of something just now: …",
    ),
    "unit/test_cli_main.py::test_the_log_is_where_the_service_put_it": ("Something unexpected went wrong (…: …). …",),
    "unit/test_cli_moving.py::test_a_damaged_filter_is_refused_in_words": (
        "--matching needs a text. Nothing was changed.",
    ),
    "unit/test_cli_moving.py::test_a_retry_of_what_was_edited_is_refused_and_keeps_none_of_the_others[failed]": (
        "The bytes of … are not those that were accepted: sent again under this id, it would only come …",
    ),
    "unit/test_cli_moving.py::test_one_that_is_refused_keeps_none_of_the_others": ("The disk reported an error: …",),
    "unit/test_cli_moving.py::test_to_discard_many_a_state_must_be_named": (
        "`dropsafe …` needs --state to choose more than one entry. Nothing was changed.",
    ),
    "unit/test_cli_moving.py::test_without_a_terminal_what_is_hard_to_undo_needs_yes[discard]": (
        "… of … entries was not confirmed. Nothing was changed.",
        "The file is not what its name says (edited, damaged, or made by hand): … Nothing was deleted.",
        "A person discarded it.",
    ),
    "unit/test_config.py::TestLayers::test_a_conflict_between_layers_names_where_it_came_from": (
        "… (…) must not be less than … (…)",
    ),
    "unit/test_config.py::TestLayers::test_a_setting_that_cannot_be_one_is_a_usage_error[]": (
        "--set needs key=value, not …",
    ),
    "unit/test_config.py::TestLayers::test_a_setting_that_cannot_be_one_is_a_usage_error[destination=5]": (
        "… is a table; set its keys one by one",
    ),
    "unit/test_config.py::test_a_failed_update_changes_nothing[values3-WrongType]": ("a key must be text, not …",),
    "unit/test_config.py::test_a_failed_update_changes_nothing[values4-UnknownKey]": (
        "… has no key …",
        "… has no …",
    ),
    "unit/test_config.py::test_a_field_of_a_watched_folder_cannot_be_set_alone_and_the_error_says_how_to": (
        "watch is not a single value (…): each watched folder has a table of its own in the file",
        "… is a field of a [[watch]] table, of which there may be several: it cannot be set by itself",
    ),
    "unit/test_config.py::test_a_key_that_is_not_set_says_how_to_set_it": ("… is not set…. …",),
    "unit/test_config.py::test_values_that_do_not_go_together_are_refused_in_any_order[values3]": (
        "destination.url must hold {id} or {name} when the method is PUT; else each report replaces the …",
    ),
    "unit/test_config.py::test_values_that_do_not_go_together_are_refused_in_any_order[values5]": (
        "….path (…) and the spool (…) must not hold one another",
    ),
    "unit/test_config.py::test_values_that_do_not_go_together_are_refused_in_any_order[values8]": (
        "….after would move files to …, from where they would be taken again",
    ),
    "unit/test_config_every_key.py::test_load_refuses_it[destination.success_status-range-[200, 200]]": (
        "… must not say the same twice; it is …",
    ),
    "unit/test_config_every_key.py::test_load_refuses_it[destination.success_status-range-[]]": (
        "… must not be empty",
    ),
    "unit/test_config_every_key.py::test_oldest_first_is_refused_with_the_reason": (
        "… must be one of …, not …",
        "… must be …, not …",
    ),
    "unit/test_config_file.py::TestStart::test_a_broken_or_missing_file_is_replaced_by_the_last_good_copy[None]": (
        "the configuration file … is gone",
    ),
    "unit/test_config_file.py::TestStart::test_a_file_that_may_not_be_read_is_one_more_reason_for_the_last_good_copy": (
        "the configuration file … cannot be read: …",
    ),
    "unit/test_config_file.py::test_a_configuration_from_a_program_can_be_saved": (
        "this configuration came from no file",
    ),
    "unit/test_config_file.py::test_a_folder_that_cannot_be_made_or_written_is_told_in_words": (
        "… could not be written: …. The configuration is as it was before.",
    ),
    "unit/test_config_file.py::test_a_missing_file_is_an_error_for_load_and_empty_for_a_start": (
        "there is no configuration file …",
    ),
    "unit/test_config_file.py::test_a_section_that_is_no_table_is_of_the_wrong_type": ("… must be a table, not …",),
    "unit/test_deploy.py::test_a_command_of_the_system_that_fails_is_told_in_its_own_words": (
        "`…` failed: …. What was done before stays done; no report is touched by that.",
        "… could not be started (…); what was done before stays done.",
    ),
    "unit/test_deploy.py::test_a_log_or_a_secret_out_of_reach_is_found": (
        "The service cannot … in …, where log.file is.",
        "The service cannot read …, which … names.",
        "The service does not see …, which … names: homes and temporary files are kept from it.",
    ),
    "unit/test_deploy.py::test_a_spool_of_another_user_is_found_and_a_missing_one_is_not_made": (
        "The service cannot read and write in ….",
        "The service cannot reach the spool …: … is closed to it.",
    ),
    "unit/test_deploy.py::test_a_trial_that_cannot_be_made_is_told": (
        "Whether the service can do its work could not be tried: …",
    ),
    "unit/test_deploy.py::test_a_unit_of_somebody_else_is_left_alone": (
        "… is not installed. Nothing was changed.",
        "There is no user … on this machine. Nothing was changed.",
        "… runs another Dropsafe, that of …; this one is …. Nothing was changed.",
        "… is there, and was not written by this command. Nothing was changed.",
        "… was not written by `dropsafe service install`. Nothing was changed.",
    ),
    "unit/test_deploy.py::test_a_link_for_a_watched_folder_writes_no_line_of_a_unit_and_grants_no_folder_of_the_system": (
        "… cannot stand in a unit of systemd, for it has characters that are not text. Nothing was changed.",
        "The service would need the right to write to all of …. Nothing was changed.",
    ),
    "unit/test_deploy.py::test_a_user_of_that_name_who_is_root_is_not_made_the_services": (
        "The user … of this machine is root by another name, which the service must not be. Nothing was changed.",
    ),
    "unit/test_deploy.py::test_an_installation_that_the_service_could_not_start_is_refused": (
        "This Dropsafe lies in …, and a service does not see …. Nothing was changed.",
        "No other user can start this Dropsafe (…: …). Nothing was changed.",
    ),
    "unit/test_deploy.py::test_each_trouble_with_a_drop_folder_has_the_command_that_mends_it": (
        "The service cannot … in ….",
        "The service cannot reach the drop folder …: … is closed to it.",
        "There is no drop folder ….",
        "The service cannot read … of the files in …, … for one.",
        "The service cannot remove other users' files from …: it is a sticky folder that is not its own.",
    ),
    "unit/test_deploy.py::test_options_that_mean_nothing_are_refused": (
        "A service reads its own configuration file, not --config, --spool or --set. Nothing was changed.",
        "A user's own service is shared with nobody, so it has no --technicians. Nothing was changed.",
        "`dropsafe service …` has no --…. Nothing was changed.",
    ),
    "unit/test_deploy.py::test_where_files_move_to_another_folder_both_are_granted_as_one": (
        "Files cannot be moved from … to … by the service: it would need the right to write to …. Nothing was changed.",
    ),
    "unit/test_deploy.py::test_where_there_is_no_service_manager_that_is_said": (
        "systemd does not run this machine, so it has no services for it. Nothing was changed.",
        "Windows services are not installed by this version of Dropsafe. Nothing was changed.",
    ),
    "unit/test_deploy.py::test_who_may_not_install_is_told_so": (
        "root's service is the machine's. Nothing was changed.",
        "A service of the machine is an administrator's to install. Nothing was changed.",
    ),
    "unit/test_docs_migrate.py::test_the_example_runs[1]": (
        "queue_full_action cannot be …: it is one of …. Nothing was changed.",
    ),
    "unit/test_paths.py::test_names_that_cannot_be_an_instance[sent]": (
        "an instance cannot be called …: the spool has a folder of that name",
    ),
    "unit/test_queue_async.py::test_an_api_without_a_method_that_sends_is_refused_at_once": (
        "… cannot send operations: it is not callable and has none of …. Nothing was changed.",
    ),
    "unit/test_queue_async_loop.py::test_waiting_for_room_holds_up_nobody": (
        "… and max_queue_size is …; … not accepted. Nothing was changed.",
    ),
    "unit/test_queue_delivery.py::test_an_entry_that_is_no_operation_is_left_to_the_service": (
        "it is not an operation, so this program's callback cannot send it; the Dropsafe service can",
    ),
    "unit/test_queue_delivery.py::test_max_retries_warns_and_gives_nothing_up": (
        "… returned …; it must return true once the server has it",
    ),
    "unit/test_queue_endurance.py::test_a_lock_file_that_is_removed_interrupts_and_loses_nothing": (
        "The lock file … was removed or replaced while … was at work. Nothing is lost: what it held goes …",
    ),
    "unit/test_queue_endurance.py::test_get_operation_knows_only_what_is_there": (
        "There is no operation … in this queue. Nothing was changed.",
    ),
    "unit/test_queue_endurance.py::test_where_the_service_runs_this_only_queues": (
        "Another Dropsafe service works on the spool …. Nothing was changed.",
    ),
    "unit/test_queue_manager.py::test_a_nonsensical_argument_is_refused_before_anything_is_made[options10]": (
        "send_callback must be a function or None; it was …. Nothing was changed.",
    ),
    "unit/test_queue_manager.py::test_a_nonsensical_argument_is_refused_before_anything_is_made[options4]": (
        "… must be a number…; it was …. Nothing was changed.",
    ),
    "unit/test_queue_manager.py::test_a_nonsensical_argument_is_refused_before_anything_is_made[options8]": (
        "… must be a whole number, … or more; it was …. Nothing was changed.",
    ),
    "unit/test_queue_manager.py::test_an_async_callback_is_refused_where_nothing_would_run_it": (
        "… is an async function; here it must be a plain one. Nothing was changed.",
    ),
    "unit/test_receiver_options.py::test_a_flag_that_makes_no_sense_is_refused[arguments7---latency takes a share]": (
        "… takes a share like 0.1, 1/10 for every tenth, or NAME=VALUE, not ….",
    ),
    "unit/test_receiver_options.py::test_an_address_that_cannot_be_is_refused[]": (
        "--listen takes HOST:PORT, like 127.0.0.1:8080 or [::1]:8080, not ….",
    ),
    "unit/test_receiver_store.py::test_a_file_that_is_no_database_is_refused": (
        "The database in … cannot be used: …. Nothing was changed.",
    ),
    "unit/test_receiver_store.py::test_a_second_receiver_on_the_same_folder_is_refused": (
        "Another receiver is using …. Nothing was changed.",
    ),
    "unit/test_spool_accept.py::test_a_file_that_changes_while_it_is_read_is_not_accepted[grows]": (
        "… changed while it was being read; nothing was accepted.",
    ),
    "unit/test_spool_accept.py::test_a_source_that_fails_leaves_nothing": (
        "… was not accepted: … (…). Its source is untouched, and nothing else was disturbed.",
    ),
    "unit/test_spool_accept.py::test_what_cannot_be_submitted_is_refused_with_words[a fifo]": (
        "… is not a regular file; nothing was accepted.",
    ),
    "unit/test_spool_accept.py::test_what_cannot_be_submitted_is_refused_with_words[a stream without a name]": (
        "A file object without a name of its own is submitted with name=.",
    ),
    "unit/test_spool_accept.py::test_what_cannot_be_submitted_is_refused_with_words[a text file]": (
        "What is submitted must be a binary file that blocks; nothing was accepted.",
    ),
    "unit/test_spool_accept.py::test_what_cannot_be_submitted_is_refused_with_words[bytes without a name]": (
        "Bytes are submitted with name=, the file name that the server will be told.",
    ),
    "unit/test_spool_accept.py::test_what_cannot_be_submitted_is_refused_with_words[no id]": (
        "… is not an entry id. Nothing was changed.",
    ),
    "unit/test_spool_admission.py::test_a_count_that_cannot_be_written_down_gives_no_place": (
        "The disk of the spool has …, or a quota is reached; … was not accepted. Its source is untouched, …",
    ),
    "unit/test_spool_admission.py::test_bytes_are_limited_too": (
        "… are more than may ever wait (max_queue_bytes is …), and were not accepted. Nothing was changed.",
        "… and max_queue_bytes is …; … not accepted. Nothing was changed.",
    ),
    "unit/test_spool_admission.py::test_rule_3_8_every_acquisition_has_a_time_out": (
        "The lock … is held by another process (waited … s). Nothing was changed.",
    ),
    "unit/test_spool_audit.py::test_entries_can_be_listed_by_state": (
        "There is no state …. The states are: …. Nothing was changed.",
    ),
    "unit/test_spool_audit.py::test_of_very_many_strangers_some_are_shown": (
        "nothing of that name belongs in a spool",
    ),
    "unit/test_spool_audit.py::test_what_does_not_belong_is_left_alone_and_shown_with_the_reason[a file in meta]": (
        "nothing of that name belongs in meta/",
    ),
    "unit/test_spool_audit.py::test_what_does_not_belong_is_left_alone_and_shown_with_the_reason[a folder in a bucket]": (
        "a folder inside a bucket",
    ),
    "unit/test_spool_audit.py::test_what_does_not_belong_is_left_alone_and_shown_with_the_reason[a link for a folder]": (
        "not the spool's own folder: what lies behind a link may be on another disk, where nothing can be …",
    ),
    "unit/test_spool_audit.py::test_what_does_not_belong_is_left_alone_and_shown_with_the_reason[a link in locks]": (
        "not what Dropsafe keeps under that name: a link, say, which is not followed",
    ),
    "unit/test_spool_audit.py::test_what_does_not_belong_is_left_alone_and_shown_with_the_reason[a link]": (
        "no regular file",
    ),
    "unit/test_spool_create.py::test_a_file_system_that_cannot_rename_without_overwriting_is_refused": (
        "The file system of … cannot rename without overwriting (…): no spool was made.",
    ),
    "unit/test_spool_dropfolder.py::test_a_folder_that_is_called_like_a_report_is_told_where_sub_folders_are_not_watched": (
        "a folder; what is in it is taken only with recursive = true",
    ),
    "unit/test_spool_foreign.py::test_a_folder_that_cannot_be_read_is_a_stranger_and_the_others_go_on": (
        "this folder cannot be read (…)",
    ),
    "unit/test_spool_foreign.py::test_a_link_to_a_folder_is_not_followed": (
        "no regular file; only regular files are taken",
    ),
    "unit/test_spool_foreign.py::test_dot_files_are_left_alone": (
        "its name begins with a dot, as those of unfinished copies do",
    ),
    "unit/test_spool_group.py::test_a_group_that_is_refused_leaves_no_meta_behind": (
        "There is no file …; nothing was accepted.",
    ),
    "unit/test_spool_group.py::test_an_unknown_acceptance_names_all_that_are_in_doubt": (
        "The system failed to confirm that …, the first …, would survive a power cut (…). All …",
    ),
    "unit/test_spool_intake.py::test_a_copy_is_given_up_for_a_stop_and_the_next_start_takes_the_file_under_the_same_id": (
        "… was not taken before the stop; the next start takes it",
    ),
    "unit/test_spool_intake.py::test_a_file_that_another_service_has_renamed_meanwhile_is_left_to_it": (
        "… is in the hands of another service that watches the same folder",
    ),
    "unit/test_spool_intake.py::test_a_file_that_changes_before_it_is_read_waits": (
        "… changed while it was being taken",
    ),
    "unit/test_spool_intake.py::test_a_file_that_somebody_has_open_for_writing_waits": (
        "… is still open for writing in another program",
    ),
    "unit/test_spool_intake.py::test_a_parking_that_is_a_link_is_not_followed": ("… cannot be taken (…); …",),
    "unit/test_spool_intake.py::test_whatever_fails_the_file_is_taken_once_in_the_end[13]": (
        "The spool at … is another user's own, shared with nobody. Nothing was changed.",
    ),
    "unit/test_spool_layout.py::test_a_folder_that_holds_anything_else_is_refused_and_unchanged[.git/]": (
        "… holds files and is not a spool. Nothing was changed.",
    ),
    "unit/test_spool_layout.py::test_a_foreign_or_newer_mark_is_refused[5]": (
        "… is not of a format that this version knows (…; known: …). Nothing was changed.",
    ),
    "unit/test_spool_layout.py::test_a_foreign_or_newer_mark_is_refused[]": (
        "… cannot be read (…). Nothing was changed; the entries are untouched.",
    ),
    "unit/test_spool_layout.py::test_a_group_that_is_not_ours_is_refused_with_what_to_ask_for": (
        "The spool cannot be shared with group …: there is no such group, or you are not in it. …",
    ),
    "unit/test_spool_layout.py::test_rule_3_6_shares_and_fat_are_refused[9p]": (
        "The spool at … would be on a … file system, which cannot promise that a renamed file survives a …",
    ),
    "unit/test_spool_moves.py::test_a_copy_that_was_discarded_before_does_not_stand_in_the_way": (
        "Another file with this name and the same bytes was already there. Nothing is lost: that one …",
    ),
    "unit/test_spool_moves.py::test_an_entry_can_be_named_by_any_beginning_that_is_its_alone": (
        "… entries have an id that begins with …: …. Nothing was changed.",
    ),
    "unit/test_spool_moves.py::test_two_people_who_do_the_same_at_once_do_it_once": (
        "Entry … is no longer in …/: another program or a person has moved it.",
    ),
    "unit/test_spool_receipts.py::test_the_receipt_of_an_entry_is_found_by_its_id": (
        "There is no receipt for …: it has not been delivered from this spool.",
    ),
    "unit/test_spool_recovery.py::test_what_a_person_has_put_into_locks_is_left_alone": (
        "nothing of that name belongs in locks/",
        "nothing of that name belongs in …/",
    ),
    "unit/test_spool_refusal.py::test_a_large_payload_over_the_limit_is_not_even_read": (
        "The payload is larger than max_entry_bytes (… bytes) and was not accepted. Nothing was changed.",
    ),
    "unit/test_spool_refusal.py::test_rule_3_4_a_low_disk_refuses_before_anything_is_written": (
        "The disk of the spool has … bytes free; with … more it would have less than min_free_bytes (…). …",
    ),
    "unit/test_spool_refusal.py::test_what_is_larger_than_all_the_free_room_is_told_without_a_limit_that_is_none": (
        "The disk of the spool has … bytes free, and the payload …: it does not fit. It was not accepted; its …",
    ),
    "unit/test_spool_refusal.py::test_rule_3_4_too_few_inodes_refuse_too": (
        "The file system of the spool has … inodes free and min_free_inodes is …: too many small files. The …",
    ),
    "unit/test_spool_states.py::test_every_pair_has_a_row_or_is_refused[tmp-held]": (
        "An entry in …/ cannot be …; nothing was changed.",
    ),
    "unit/test_spool_strikes.py::test_three_deaths_alone_in_hand_lead_to_quarantine": (
        "The uploader died … times while it held nothing but this entry. Nothing is lost; the file is …",
    ),
    "unit/test_spool_verify.py::test_an_entry_that_became_something_else_is_not_called_damaged": (
        "It cannot be read (…). That is not damage: it stays where it is.",
    ),
    "unit/test_spool_verify.py::test_it_changes_nothing_at_all[a reason alone]": (
        "A reason without its entry, which somebody has moved. It concerns no data.",
    ),
    "unit/test_spool_verify.py::test_it_changes_nothing_at_all[a reason that cannot be read]": (
        "This reason file cannot be read, so why the entry is there is not known. The entry is untouched.",
    ),
    "unit/test_spool_verify.py::test_it_changes_nothing_at_all[an id in two places]": (
        "The same report, with the same bytes, is also at …. Nothing is lost.",
    ),
    "unit/test_spool_verify.py::test_two_of_one_id_with_other_bytes_are_not_said_to_be_the_same": (
        "The same id is also at …. Nothing is lost; where they meet, both are kept.",
    ),
    "unit/test_spool_verify.py::test_it_changes_nothing_at_all[meta alone]": (
        "What was submitted with an entry that is not here (it was readmitted, or removed). It concerns …",
    ),
    "unit/test_spool_verify.py::test_it_changes_nothing_at_all[receipts damaged]": (
        "This file of receipts has …: what stood there looks unproven.",
    ),
    "unit/test_spool_verify.py::test_it_changes_nothing_at_all[receipts lost]": (
        "It lies in sent/, and no receipt here says that the server has it. It is kept.",
    ),
    "unit/test_spool_verify.py::test_each_difference_is_found_once_with_its_meaning_and_a_remedy[meta a link]": (
        "… cannot be read (…). The payload of entry … is untouched and stays where it is.",
    ),
    "unit/test_spool_verify.py::test_of_some_states_only_those_are_read": (
        "Its bytes do not match its name: it was changed after it was accepted, or somebody made up the name.",
        "…, but …",
    ),
    "unit/test_supervisor_words.py::test_a_remedy_that_asks_for_a_reload_says_how": (
        "Nothing can be delivered now…. Nothing is lost; entries wait and go out when the server is back.",
        "The configuration file has an error. The service goes on with the configuration it had.",
        "Nothing can be delivered…. Nothing is lost; entries wait until that is mended.",
        "The … refuses its configuration and does not run. Nothing is lost; ….",
    ),
    "unit/test_supervisor_words.py::test_steps_owed_to_the_spool_are_a_reason": (
        "What was delivered cannot be put away in the spool just now. Nothing is lost; it is tried again.",
    ),
    "unit/test_workers_classify.py::test_a_cut_connection_defers_the_entry[Trouble.NOT_HTTP]": (
        "what came back is no HTTP answer",
    ),
    "unit/test_workers_classify.py::test_a_status_that_does_not_count_as_success_defers[102]": (
        "that status is not one that counts as success here",
    ),
    "unit/test_workers_classify.py::test_a_web_page_is_an_alarm": (
        "a web page came back, perhaps a log-in page of the network, not the server",
    ),
    "unit/test_workers_classify.py::test_credentials_or_address_alarm_and_blame_by_rejection[404]": (
        "there is nothing at that address",
    ),
    "unit/test_workers_classify.py::test_credentials_or_address_alarm_and_blame_by_rejection[405]": (
        "the address does not take that method",
    ),
    "unit/test_workers_classify.py::test_long_words_are_shortened_in_the_summary_and_kept_in_the_detail": (
        "the credentials are not sufficient",
    ),
    "unit/test_workers_classify.py::test_no_connection_is_the_destination_s_fault[Trouble.TLS]": (
        "no secure connection to the server",
    ),
    "unit/test_workers_classify.py::test_the_server_refuses_the_entry_in_its_own_words[415]": (
        "the server does not take that content type",
    ),
    "unit/test_workers_classify.py::test_what_is_never_about_one_entry_alarms_and_blames_by_deferral[501]": (
        "the server does not know that method",
    ),
    "unit/test_workers_classify.py::test_what_is_never_about_one_entry_alarms_and_blames_by_deferral[511]": (
        "the network asks for a log-in",
    ),
    "unit/test_workers_janitor.py::test_a_clock_that_was_set_is_told_for_as_long_as_nothing_is_removed_for_it": (
        "The clock of this machine was set by more than an hour, or the machine was off for long: for a day …",
    ),
    "unit/test_workers_janitor.py::test_a_chore_that_fails_is_shown_tried_again_and_stops_no_other": (
        "The janitor's … failed. It is tried again; nothing is lost.",
    ),
    "unit/test_workers_janitor.py::test_a_receipts_file_of_a_dead_worker_that_cannot_be_read_is_a_reason": (
        "cannot be read: deliveries proven in it look unproven",
        "What processes that died left in the spool cannot all be put right. Nothing is lost; it is tried again.",
    ),
    "unit/test_workers_janitor.py::test_a_spool_that_cannot_be_changed_is_told_with_what_lacks": (
        "The disk of the spool can only be read: nothing is accepted, delivered or moved. Nothing is lost.",
        "Folders of the spool can only be read: what should go there waits where it is. Nothing is lost.",
        "Folders of the spool may not be written to: what should go there waits where it is. Nothing is lost.",
    ),
    "unit/test_workers_janitor.py::test_an_old_entry_is_told": (
        "The oldest report has waited for …. Nothing is lost.",
    ),
    "unit/test_workers_janitor.py::test_how_low_a_disk_is_and_what_else_helps_on_a_small_one_is_told": (
        "The disk of the spool is nearly full: nothing more is accepted. Nothing is lost.",
        "The disk of the spool is full: nothing more is accepted. Nothing is lost.",
        "The disk of the spool is smaller than what min_free_bytes keeps free: nothing is accepted. Nothing is lost.",
    ),
    "unit/test_workers_janitor.py::test_refused_and_quarantined_entries_need_a_person": (
        "… in quarantine/: damaged, or the uploader died over it. Nothing was deleted.",
    ),
    "unit/test_workers_reply.py::test_an_answer_cut_short_is_no_delivery_but_a_refusal_cut_short_is_one": (
        "the connection was cut",
        "it is too large for the server",
    ),
    "unit/test_workers_reply.py::test_an_early_answer_is_never_a_success": (
        "the server answered before it had everything",
    ),
    "unit/test_workers_reply.py::test_another_digest_is_a_mismatch[answer4]": (
        "digest mismatch: the server has other bytes than were sent",
    ),
    "unit/test_workers_reply.py::test_secrets_are_taken_out_of_the_words": ("the server refuses it",),
    "unit/test_workers_request.py::test_a_header_that_would_break_the_request_is_refused[X:-a]": (
        "destination.headers: … is not a header that can be sent. Nothing is sent.",
    ),
    "unit/test_workers_request.py::test_an_address_that_cannot_be_used_is_a_configuration_error[http://]": (
        "destination.url must be http:// or https://, a host, and no user name. Nothing is sent, all …",
    ),
    "unit/test_workers_request.py::test_an_address_that_cannot_be_used_is_a_configuration_error[http://host:99999/]": (
        "destination.url is not an address: …. Nothing is sent; everything waits.",
    ),
    "unit/test_workers_secret.py::test_a_place_where_nothing_can_be_read_is_told": (
        "the environment of this process has no variable …",
        "systemd has handed this process no credentials; the unit needs LoadCredential=…:PATH",
        "… is no file",
        "… cannot be read: …",
    ),
    "unit/test_workers_secret.py::test_a_secret_is_read_again_when_its_file_changes_and_the_old_one_stays_hidden": (
        "… holds something else than …",
    ),
    "unit/test_workers_watcher.py::test_a_drop_folder_that_is_a_link_into_the_spool_is_not_used[.]": (
        "The drop folder … and the spool … hold one another.",
    ),
    "unit/test_workers_watcher.py::test_a_file_over_the_limit_is_shown_with_its_remedy_and_blocks_no_other": (
        "larger than the limits allow; they stay where they are",
    ),
    "unit/test_workers_watcher.py::test_a_file_that_cannot_be_taken_is_logged_once_and_not_tried_at_every_hint": (
        "not to be had; they stay where they are",
    ),
    "unit/test_workers_watcher.py::test_a_file_that_never_comes_to_rest_is_shown": (
        "being written for more than 5 minutes; taken when at rest",
        "… has been changing for more than 5 minutes",
        "Files in a drop folder or in pending/ (…): ….",
    ),
    "unit/test_workers_watcher.py::test_a_folder_that_is_missing_is_shown_and_taken_from_once_it_is_there": (
        "The drop folder … does not exist.",
    ),
    "unit/test_workers_watcher.py::test_a_folder_without_permission_says_what_to_grant": (
        "A drop folder cannot be used; what is in it stays there.",
        "The service may not read, write and rename in …, so nothing is taken.",
    ),
    "unit/test_workers_watcher.py::test_a_full_queue_pauses_and_the_files_stay_where_they_are": (
        "waiting until there is room for them. Nothing is lost",
    ),
    "unit/test_workers_watcher.py::test_a_parking_that_is_no_folder_is_shown_until_it_is_removed[link]": (
        "… is not a folder.",
    ),
    "unit/test_workers_watcher.py::test_of_a_folder_that_can_only_be_read_that_is_said_and_whether_it_is_the_spools_own": (
        "The file system of … can only be read, so nothing is taken.",
        "What people put into the spool's own pending/ cannot be taken; it stays there. No entry is touched by that.",
    ),
    "unit/test_workers_watcher.py::test_what_is_no_regular_file_is_left_alone_and_shown[fifo]": (
        "… in a drop folder or in pending/ cannot be taken. Nothing there is touched.",
    ),
}
