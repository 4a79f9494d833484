// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What a user of the model can see is documented, word for word.

use crate::counters::Counter;
use crate::inject;
use crate::mcu::Mcu;
use crate::npu;
use crate::record::Kind;

const TEXT: &str = include_str!("../../../../../../Documentation/hwmodel.rst");

/// Asserts that the term has an entry.
fn assert_entry(term: &str) {
    let entry = std::format!("\n``{term}``\n    ");
    assert!(
        TEXT.contains(&entry),
        "Documentation/hwmodel.rst has no entry for {term}"
    );
}

#[test]
fn every_kind_of_record_is_documented() {
    for kind in Kind::ALL {
        assert_entry(kind.name());
    }
}

#[test]
fn every_counter_is_documented() {
    for counter in Counter::ALL {
        assert_entry(counter.name());
    }
}

#[test]
fn every_misbehaviour_is_documented() {
    let all = inject::HELP.iter().chain(Mcu::HELP).chain(npu::HELP);
    for (syntax, _) in all {
        assert_entry(syntax);
    }
}
