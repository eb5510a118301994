//! Abbreviations: words whose period is no end of a sentence.
//!
//! Abbreviations with a period inside (`z.B.`, `U.S.`) need no list. The words are common ones of
//! each language for which the original keeps the period; single letters, German ordinals (`21.
//! Oktober`) and Roman numerals are rules.

use super::release::Release;
use crate::tokenize::Language;

/// When a period stays with its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefix {
    /// Whatever follows.
    Always,
    /// When a number follows: `No. 5`.
    BeforeNumber,
}

/// What is known of a word before a period; upper and lower case differ.
pub(super) fn prefix(language: Language, release: Release, stem: &str) -> Option<Prefix> {
    let listed = |list: &str| list.split_ascii_whitespace().any(|word| word == stem);
    let letter = single_letter(stem);
    let always = match language {
        // Languages without a list of their own fall back to English.
        Language::En | Language::Ja => {
            if listed(EN_BEFORE_NUMBER) {
                return Some(Prefix::BeforeNumber);
            }
            let changed = match release {
                Release::Y2015 => stem == "Inc",
                Release::Y2017 => false,
                Release::Y2019 => stem == "Rs",
            };
            letter == Some(Case::Upper) || listed(TITLES) || listed(EN) || changed
        }
        Language::De => {
            letter.is_some()
                || is_ordinal(stem)
                || is_roman_to_20(stem)
                || listed(TITLES)
                || listed(DE)
        }
        Language::Fr => {
            let is_word = release >= Release::Y2017 && stem == "a";
            (letter.is_some() && !is_word) || listed(FR)
        }
        Language::Cs => listed(CS),
        Language::Ro => letter == Some(Case::Upper) || listed(RO),
    };
    always.then_some(Prefix::Always)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Upper,
    Lower,
}

fn single_letter(stem: &str) -> Option<Case> {
    match stem.as_bytes() {
        [b'A'..=b'Z'] => Some(Case::Upper),
        [b'a'..=b'z'] => Some(Case::Lower),
        _ => None,
    }
}

/// 1 to 99, without a leading zero.
fn is_ordinal(stem: &str) -> bool {
    matches!(stem.as_bytes(), [b'1'..=b'9'] | [b'1'..=b'9', b'0'..=b'9'])
}

/// I to XX, all upper or all lower case.
fn is_roman_to_20(stem: &str) -> bool {
    const ONES: [&str; 10] = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"];
    let upper = stem.to_ascii_uppercase();
    let one_case = stem == upper || stem == stem.to_ascii_lowercase();
    let ones = upper.strip_prefix('X').unwrap_or(&upper);
    one_case && !stem.is_empty() && (ONES.contains(&ones) || upper == "XX")
}

/// Titles and offices, in English and in German text.
const TITLES: &str = "
    Adj Asst Bart Bldg Brig Bros Capt Cmdr Col Comdr Con Corp Cpl DR Dr Ens Gen Gov Hon Hosp Insp
    Lt MM MR MRS MS Maj Messrs Mlle Mme Mr Mrs Ms Msgr Op Ord Pfc Ph Prof Pvt Rep Reps Res Rev Rt
    Sen Sens Sfc Sgt Sr St Supt Surg";

const EN: &str = "
    Adm Adv Drs Hr Nos Nr rev v vs
    Jan Feb Mar Apr Jun Jul Aug Sep Oct Nov Dec";

const EN_BEFORE_NUMBER: &str = "Art No pp";

const DE: &str = "
    Art Buchst Ca Chr Co Ltd Mio Mrd MwSt No Nr SA Std Zt
    bzgl bzw ca dgl etc evtl ff ggf jun pp sen sog spp usf usw vgl vs zzt";

const FR: &str = "
    MM SS al ann apr art auj av boul cf chap dir env etc ex fasc fig fr fém hab ibid id inf lib masc
    ms pl pp sec sq suiv sup suppl tél vb vol vs éd";

const CS: &str = "
    Bc BcA CSc DiS Dr DrSc Ing JUDr MgA Mgr MUDr MVDr PaedDr PharmDr PhDr PhMr RNDr ThDr ThLic
    f j l m p r s v č ř
    abt ad aj angl anon apod atd atp aut bd biogr bot cca chem cit dat doc ed ekon ev event film fot
    franc gen hist hl hod hor it jap kol kr lat les lit lék mj mod např násl něm obr odd okr pl pol
    popř pozn prof přel příl red resp rkp roč rus sl slov sport srov st stol sv tab tech tis tj tzn
    tzv táz tř var voj vol vs vyd zast zejm zkr zvl čas čes čp šk";

const RO: &str = "D-na Dl Dvs Pt d-na dl dvs etc pt";
